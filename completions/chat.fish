complete -c chat -l name -d 'By topic: the name by which others know you' -r
complete -c chat -l last -d 'By topic: begin with the last COUNT messages' -r
complete -c chat -l since -d 'By topic: begin with the messages of the last TIME, as 90s, 10m, 2h or 1d' -r
complete -c chat -l count -d 'End when COUNT messages have arrived' -r
complete -c chat -l timeout -d 'End with exit code 3 when no message has arrived for that long' -r
complete -c chat -l ack-timeout -d 'By topic: the longest wait for an acknowledgement when the input has ended' -r
complete -c chat -l connect-timeout -d 'The longest that connecting may take' -r
complete -c chat -l drain-timeout -d 'How long the other side has to close when everything is sent' -r
complete -c chat -l max-frame -d 'The longest frame, sent or received' -r
complete -c chat -l listen -d 'By topic, on a terminal: take direct calls on PORT' -r
complete -c chat -l color -d 'When to use colours' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'On any terminal'
never\t'Nowhere'"
complete -c chat -l notify -d 'On a terminal: how to tell the desktop of a mention or a call' -r -f -a "auto\t'In the way that the terminal is known for'
osc9\t'By the sequence OSC 9'
osc777\t'By the sequence OSC 777'
never\t'Not at all'"
complete -c chat -l config -d 'Read this configuration file instead of natter/chat.toml in the usual place' -r -F
complete -c chat -l direct -d 'Talk directly: wait for a caller on PORT, or with 0 call ADDRESS:PORT'
complete -c chat -l topic -d 'Talk by topic: ADDRESS:PORT is where topicserver runs'
complete -c chat -l stay -d 'Go on receiving when the input has ended'
complete -c chat -l no-reconnect -d 'By topic: end with exit code 1 when the connection is lost'
complete -c chat -l wait -d 'Wait for a server or peer that isn\'t there yet'
complete -c chat -l json -d 'Print each message as a JSON object: topic, text, user, time, seq'
complete -c chat -l quiet -d 'Print nothing on standard error but errors'
complete -c chat -l whole -d 'Send all of the input as one message'
complete -c chat -l classic -d 'By topic: speak only the protocol of the original specification'
complete -c chat -l plain -d 'On a terminal: behave as in a pipe, one line in, one message out'
complete -c chat -l no-bell -d 'On a terminal: don\'t ring when your name is mentioned'
complete -c chat -l no-sides -d 'On a terminal: no members and topics at the sides'
complete -c chat -l hide-topic -d 'On a terminal: don\'t name the topic before each message where it is in view'
complete -c chat -l mouse -d 'On a terminal: take the mouse\'s wheel to scroll; then Shift selects text'
complete -c chat -l no-history-file -d 'On a terminal: don\'t keep the lines you type for the next run'
complete -c chat -l no-config -d 'Read no configuration file'
complete -c chat -l print-config -d 'Print the configuration in force as a configuration file, and exit'
complete -c chat -s h -l help -d 'Print help (see more with \'--help\')'
complete -c chat -s V -l version -d 'Print version'
