# Written by `make docs`: change src/config/schema.ts or src/verbs/help.ts instead.

_buntracker() {
    COMPREPLY=()
    local word words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="check config health top cluster version dns plan selftest swarm deny allow forget maintenance --help --version"
    elif [ "$COMP_CWORD" -eq 2 ]; then
        case "${COMP_WORDS[1]}" in
            maintenance) words="on off" ;;
        esac
    fi
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}

complete -F _buntracker buntracker
