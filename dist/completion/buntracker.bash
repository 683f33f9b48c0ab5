# Written by `make docs`: change src/config.ts or src/cli.ts instead.

_buntracker() {
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        local word
        while IFS= read -r word; do
            COMPREPLY+=("$word")
        done < <(compgen -W "check config health top version dns selftest deny allow forget maintenance --help --version" -- "${COMP_WORDS[1]}")
    fi
}

complete -F _buntracker buntracker
