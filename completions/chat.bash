# Completions of chat for bash.
_chat() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    case $prev in
        -name | --name) mapfile -t COMPREPLY < <(true); return ;;
        -last | --last) mapfile -t COMPREPLY < <(true); return ;;
        -since | --since) mapfile -t COMPREPLY < <(true); return ;;
        -count | --count) mapfile -t COMPREPLY < <(true); return ;;
        -timeout | --timeout) mapfile -t COMPREPLY < <(true); return ;;
        -ack-timeout | --ack-timeout) mapfile -t COMPREPLY < <(true); return ;;
        -connect-timeout | --connect-timeout) mapfile -t COMPREPLY < <(true); return ;;
        -drain-timeout | --drain-timeout) mapfile -t COMPREPLY < <(true); return ;;
        -tls-ca | --tls-ca) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -token-file | --token-file) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        -user | --user) mapfile -t COMPREPLY < <(true); return ;;
        -find-time | --find-time) mapfile -t COMPREPLY < <(true); return ;;
        -forget | --forget) mapfile -t COMPREPLY < <(true); return ;;
        -max-frame | --max-frame) mapfile -t COMPREPLY < <(true); return ;;
        -listen | --listen) mapfile -t COMPREPLY < <(true); return ;;
        -color | --color) mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$cur"); return ;;
        -notify | --notify) mapfile -t COMPREPLY < <(compgen -W 'auto osc9 osc777 never' -- "$cur"); return ;;
        -config | --config) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    esac
    case $cur in
        --*) mapfile -t COMPREPLY < <(compgen -W '--direct --topic --stay --no-reconnect --wait --name --last --since --json --count --timeout --quiet --whole --classic --ack-timeout --connect-timeout --drain-timeout --tls-ca --accept-new --token-file --user --insecure-auth --find --find-time --forget --max-frame --listen --plain --color --no-bell --notify --no-sides --hide-topic --mouse --no-history-file --config --no-config --print-config --help --version' -- "$cur") ;;
        -*) mapfile -t COMPREPLY < <(compgen -W '-direct -topic -stay -no-reconnect -wait -name -last -since -json -count -timeout -quiet -whole -classic -ack-timeout -connect-timeout -drain-timeout -tls-ca -accept-new -token-file -user -insecure-auth -find -find-time -forget -max-frame -listen -plain -color -no-bell -notify -no-sides -hide-topic -mouse -no-history-file -config -no-config -print-config -help -version' -- "$cur") ;;
        *@*) mapfile -t COMPREPLY < <(compgen -P "${cur%@*}@" -W "$(_chat_servers)" -- "${cur##*@}") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$(_chat_servers)" -- "$cur") ;;
    esac
}

# The servers' names in the configuration file.
_chat_servers() {
    "${COMP_WORDS[0]}" --print-config 2>/dev/null | sed -n '/^\[servers\]/,$s/^"\(.*\)" = .*/\1/p'
}

complete -F _chat chat
