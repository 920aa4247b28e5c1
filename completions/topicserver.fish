complete -c topicserver -l bind -d 'Listen on this IP address alone, not on all of them' -r
complete -c topicserver -l log -d 'What is logged to standard error' -r -f -a "off\t'Nothing at all'
error\t'What keeps the server from working'
warn\t'And what peers do wrong'
info\t'And that it has begun and ended'
debug\t'And each connection\'s life'
trace\t'And what its libraries say'"
complete -c topicserver -l max-frame -d 'Bytes of one frame' -r
complete -c topicserver -l max-depth -d 'Objects and arrays within one another in a frame' -r
complete -c topicserver -l max-topics -d 'Topics of one connection' -r
complete -c topicserver -l max-outbox -d 'Bytes that may wait for one connection; who falls further behind is disconnected' -r
complete -c topicserver -l max-mailbox -d 'Bytes that may wait for one topic before its publishers are slowed' -r
complete -c topicserver -l max-connections -d 'Connections in all' -r
complete -c topicserver -l max-connections-per-address -d 'Connections of one IP address' -r
complete -c topicserver -l registration-timeout -d 'For a new connection to register' -r
complete -c topicserver -l frame-timeout -d 'For the rest of a frame that has begun' -r
complete -c topicserver -l write-timeout -d 'For a connection to take something of what waits for it' -r
complete -c topicserver -l drain-timeout -d 'For what is queued to go out when a connection or the server ends' -r
complete -c topicserver -l history-messages -d 'Messages of each topic that are kept in memory; 0 keeps none' -r
complete -c topicserver -l history-bytes -d 'Bytes of each topic\'s messages that are kept in memory; 0 keeps none' -r
complete -c topicserver -l history-memory -d 'Bytes of memory for all topics, their messages and the ids of messages; beyond it, the topic that was not used for longest forgets its messages, and then its oldest ids' -r
complete -c topicserver -l id-window -d 'For how long the id of a message is remembered, so that it isn\'t delivered again' -r
complete -c topicserver -l max-ids -d 'Ids that are remembered of one publisher in one topic' -r
complete -c topicserver -l max-presence -d 'Members of a topic up to which each is told who comes and goes' -r
complete -c topicserver -l data -d 'Keep messages on disk, in this directory, so that they outlive the server' -r -F
complete -c topicserver -l storage-timeout -d 'For a message to be stored on disk; its publisher is told storage-busy then' -r
complete -c topicserver -l keep-age -d 'How old messages on disk become' -r
complete -c topicserver -l keep-messages -d 'Messages of each topic that are kept on disk' -r
complete -c topicserver -l keep-bytes -d 'Bytes of each topic\'s messages that are kept on disk' -r
complete -c topicserver -l allow-origin -d 'Let pages of another site, SCHEME://HOST or SCHEME://HOST:PORT, read and write here; may be given several times' -r
complete -c topicserver -l allow-host -d 'Let browsers reach the server under this name too, beside its addresses, localhost and the machine\'s own name; may be given several times' -r
complete -c topicserver -l max-headers -d 'Bytes of an HTTP request before its body' -r
complete -c topicserver -l ping-interval -d 'How often a WebSocket is asked whether it is still there; two that are unanswered end it' -r
complete -c topicserver -l threads -d 'Worker threads; by default one for each core, with --data one fewer, because writing has a thread of its own' -r
complete -c topicserver -s h -l help -d 'Print help (see more with \'--help\')'
complete -c topicserver -s V -l version -d 'Print version'
