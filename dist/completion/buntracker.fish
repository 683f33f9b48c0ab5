# Written by `make docs`: change src/config/schema.ts or src/cli.ts instead.

complete -c buntracker -f
complete -c buntracker -n __fish_use_subcommand -a check -d 'check the settings and the files they name, and report problems'
complete -c buntracker -n __fish_use_subcommand -a config -d 'print the settings in effect, one per line'
complete -c buntracker -n __fish_use_subcommand -a health -d 'check whether the running tracker answers: exit code 0 or 1'
complete -c buntracker -n __fish_use_subcommand -a top -d 'show the figures of the running tracker until q is pressed'
complete -c buntracker -n __fish_use_subcommand -a version -d 'print the version'
complete -c buntracker -n __fish_use_subcommand -a dns -d 'print the DNS records for a tracker of this name'
complete -c buntracker -n __fish_use_subcommand -a plan -d 'print what a tracker of a given size needs'
complete -c buntracker -n __fish_use_subcommand -a selftest -d 'test any tracker like a client, and report problems'
complete -c buntracker -n __fish_use_subcommand -a swarm -d 'print what the running tracker knows of these swarms'
complete -c buntracker -n __fish_use_subcommand -a deny -d 'make the running tracker refuse these info hashes'
complete -c buntracker -n __fish_use_subcommand -a allow -d 'make it serve these, if it has an allow list'
complete -c buntracker -n __fish_use_subcommand -a forget -d 'make it remove these from both lists'
complete -c buntracker -n __fish_use_subcommand -a maintenance -d 'make it refuse all announces, or answer them again'
complete -c buntracker -n __fish_use_subcommand -l help -d 'print all verbs and settings'
complete -c buntracker -n __fish_use_subcommand -l version -d 'print the version'
complete -c buntracker -n '__fish_seen_subcommand_from maintenance' -a 'on off'
