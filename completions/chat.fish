# Completions of chat for fish.

# The servers' names in the configuration file.
function __chat_servers
    chat --print-config 2>/dev/null | sed -n '/^\[servers\]/,$s/^"\(.*\)" = .*/\1/p'
end

complete -c chat -f -a '(__chat_servers)'
complete -c chat -o direct -l direct -d 'Talk directly: wait for a caller on PORT, or with 0 call ADDRESS:PORT'
complete -c chat -o topic -l topic -d 'Talk by topic: ADDRESS:PORT is where topicserver runs; tls:// before it speaks TLS'
complete -c chat -o stay -l stay -d 'Go on receiving when the input has ended'
complete -c chat -o no-reconnect -l no-reconnect -d 'By topic: end with exit code 1 when the connection is lost'
complete -c chat -o wait -l wait -d 'Wait for a server or peer that isn\'t there yet'
complete -c chat -o name -l name -d 'By topic: the name by which others know you' -x
complete -c chat -o last -l last -d 'By topic: begin with the last COUNT messages' -x
complete -c chat -o since -l since -d 'By topic: begin with the messages of the last TIME, as 90s, 10m, 2h or 1d' -x
complete -c chat -o json -l json -d 'Print each message as a JSON object: topic, text, user, time, seq'
complete -c chat -o count -l count -d 'End when COUNT messages have arrived' -x
complete -c chat -o timeout -l timeout -d 'End with exit code 3 when no message has arrived for that long' -x
complete -c chat -o quiet -l quiet -d 'Print nothing on standard error but errors'
complete -c chat -o whole -l whole -d 'Send all of the input as one message'
complete -c chat -o classic -l classic -d 'By topic: speak only the protocol of the original specification'
complete -c chat -o ack-timeout -l ack-timeout -d 'By topic: the longest wait for an acknowledgement when the input has ended' -x
complete -c chat -o connect-timeout -l connect-timeout -d 'The longest that connecting may take' -x
complete -c chat -o drain-timeout -l drain-timeout -d 'How long the other side has to close when everything is sent' -x
complete -c chat -o tls-ca -l tls-ca -d 'By topic, over TLS: trust the authorities in FILE instead of the system\'s' -r -F
complete -c chat -o accept-new -l accept-new -d 'By topic, over TLS: trust the key of a server that is new, and keep it'
complete -c chat -o token-file -l token-file -d 'By topic: prove who you are by the token in FILE' -r -F
complete -c chat -o user -l user -d 'By topic: prove that you are the account NAME; chat asks for the password' -x
complete -c chat -o insecure-auth -l insecure-auth -d 'By topic: send a token or a password over plain TCP to other machines, too'
complete -c chat -o find -l find -d 'List the topic servers on this network that announce themselves, and exit'
complete -c chat -o find-time -l find-time -d 'How long --find waits for answers' -x
complete -c chat -o forget -l forget -d 'Forget the key of the topic server at ADDRESS:PORT, and exit' -x
complete -c chat -o max-frame -l max-frame -d 'The longest frame, sent or received' -x
complete -c chat -o listen -l listen -d 'By topic, on a terminal: take direct calls on PORT' -x
complete -c chat -o plain -l plain -d 'On a terminal: behave as in a pipe, one line in, one message out'
complete -c chat -o color -l color -d 'When to use colours' -x -a 'auto always never'
complete -c chat -o no-bell -l no-bell -d 'On a terminal: don\'t ring when your name is mentioned'
complete -c chat -o notify -l notify -d 'On a terminal: how to tell the desktop of a mention or a call' -x -a 'auto osc9 osc777 never'
complete -c chat -o no-sides -l no-sides -d 'On a terminal: no members and topics at the sides'
complete -c chat -o hide-topic -l hide-topic -d 'On a terminal: don\'t name the topic before each message where it is in view'
complete -c chat -o mouse -l mouse -d 'On a terminal: take the mouse\'s wheel to scroll; then Shift selects text'
complete -c chat -o no-history-file -l no-history-file -d 'On a terminal: don\'t keep the lines you type for the next run'
complete -c chat -o config -l config -d 'Read this configuration file instead of natter/chat.toml in the usual place' -r -F
complete -c chat -o no-config -l no-config -d 'Read no configuration file'
complete -c chat -o print-config -l print-config -d 'Print the configuration in force as a configuration file, and exit'
complete -c chat -o help -l help -d 'Print help (see more with \'--help\')'
complete -c chat -o version -l version -d 'Print version'
