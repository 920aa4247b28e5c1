complete -c chat -l name -d 'By topic: the name by which others know you' -r
complete -c chat -l last -d 'By topic: begin with the last COUNT messages' -r
complete -c chat -l since -d 'By topic: begin with the messages of the last TIME, as 90s, 10m, 2h or 1d' -r
complete -c chat -l ack-timeout -d 'By topic: the longest wait for an acknowledgement when the input has ended' -r
complete -c chat -l connect-timeout -d 'The longest that connecting may take' -r
complete -c chat -l drain-timeout -d 'How long the other side has to close when everything is sent' -r
complete -c chat -l max-frame -d 'The longest frame, sent or received' -r
complete -c chat -l listen -d 'By topic, on a terminal: take direct calls on PORT' -r
complete -c chat -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'On any terminal'
never\t'Nowhere'"
complete -c chat -l config -d 'Read this configuration file instead of natter/chat.toml in the usual place' -r -F
complete -c chat -l direct -d 'Talk directly: wait for a caller on PORT, or with 0 call ADDRESS:PORT'
complete -c chat -l topic -d 'Talk by topic: ADDRESS:PORT is where topicserver runs'
complete -c chat -l stay -d 'Go on receiving when the input has ended'
complete -c chat -l no-reconnect -d 'By topic: end with exit code 1 when the connection is lost'
complete -c chat -l json -d 'Print each message as a JSON object: topic, text, user, time, seq'
complete -c chat -l classic -d 'By topic: speak only the protocol of the original specification'
complete -c chat -l plain -d 'On a terminal: behave as in a pipe, one line in, one message out'
complete -c chat -l no-bell -d 'On a terminal: don\'t ring when your name is mentioned'
complete -c chat -l no-history-file -d 'On a terminal: don\'t keep the lines you type for the next run'
complete -c chat -l no-config -d 'Read no configuration file'
complete -c chat -l print-config -d 'Print the configuration in force as a configuration file, and exit'
complete -c chat -s h -l help -d 'Print help (see more with \'--help\')'
complete -c chat -s V -l version -d 'Print version'
