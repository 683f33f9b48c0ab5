# Written by `make docs`: change src/config.ts or src/cli.ts instead.

complete -c buntracker -f
complete -c buntracker -n __fish_use_subcommand -a check -d 'look at the settings and the files they name, and say what is wrong'
complete -c buntracker -n __fish_use_subcommand -a config -d 'print the settings in effect, one per line'
complete -c buntracker -n __fish_use_subcommand -a health -d 'ask the running tracker whether it answers: exit code 0 or 1'
complete -c buntracker -n __fish_use_subcommand -a top -d 'show what the running tracker does, until q is pressed'
complete -c buntracker -n __fish_use_subcommand -a version -d 'print the version'
complete -c buntracker -n __fish_use_subcommand -l help -d 'say all of this, and every setting'
complete -c buntracker -n __fish_use_subcommand -l version -d 'print the version'
