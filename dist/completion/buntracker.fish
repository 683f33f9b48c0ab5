# Written by `make docs`: change src/config/schema.ts or src/cli.ts instead.

complete -c buntracker -f
complete -c buntracker -n __fish_use_subcommand -a check -d 'look at the settings and the files they name, and say what is wrong'
complete -c buntracker -n __fish_use_subcommand -a config -d 'print the settings in effect, one per line'
complete -c buntracker -n __fish_use_subcommand -a health -d 'ask the running tracker whether it answers: exit code 0 or 1'
complete -c buntracker -n __fish_use_subcommand -a top -d 'show what the running tracker does, until q is pressed'
complete -c buntracker -n __fish_use_subcommand -a version -d 'print the version'
complete -c buntracker -n __fish_use_subcommand -a dns -d 'print the DNS records a tracker of this name should have'
complete -c buntracker -n __fish_use_subcommand -a selftest -d 'ask any tracker what clients ask, and say what is wrong'
complete -c buntracker -n __fish_use_subcommand -a deny -d 'ask the running tracker to refuse these info hashes'
complete -c buntracker -n __fish_use_subcommand -a allow -d 'ask it to serve these, if it serves only what is listed'
complete -c buntracker -n __fish_use_subcommand -a forget -d 'ask it to take these off both lists'
complete -c buntracker -n __fish_use_subcommand -a maintenance -d 'ask it to refuse announces for a while'
complete -c buntracker -n __fish_use_subcommand -l help -d 'say all of this, and every setting'
complete -c buntracker -n __fish_use_subcommand -l version -d 'print the version'
complete -c buntracker -n '__fish_seen_subcommand_from maintenance' -a 'on off'
