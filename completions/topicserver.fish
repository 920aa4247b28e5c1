complete -c topicserver -l config -d 'Also read options from this TOML file: the options\' names without the dashes, as in max-frame = "64KiB". An environment variable such as NATTER_MAX_FRAME goes before it, and the command line before both' -r -F
complete -c topicserver -l bind -d 'Listen on this IP address only [default: all addresses]' -r
complete -c topicserver -l listen -d 'Also listen on a UNIX socket, for clients on this machine: its owner and its group may use it (mode 0660)' -r -F
complete -c topicserver -l log -d 'How much to log to standard error' -r -f -a "off\t'Nothing'
error\t'Only failures of the server itself'
warn\t'Also client errors'
info\t'Also when the server starts and stops'
debug\t'Also each connection\'s start and end'
trace\t'Also what its libraries log'"
complete -c topicserver -l log-format -d 'How to write the log: text, or a JSON object per line' -r -f -a "text\t'Lines for people; for the journal of systemd without a stamp, and with the level as journald takes it'
json\t'A JSON object per line: time, level, target, message, and further fields'"
complete -c topicserver -l max-frame -d 'Maximum bytes of a frame' -r
complete -c topicserver -l max-depth -d 'Maximum nesting of objects and arrays in a frame' -r
complete -c topicserver -l auth -d 'Ask who clients are, and let them do what this file allows: a TOML file with users, tokens and rules. Changes take effect within a second. Without it, everybody in the server\'s own network may do everything' -r -F
complete -c topicserver -l login-lifetime -d 'Time that a browser keeps a login of --auth' -r
complete -c topicserver -l ticket-lifetime -d 'Time that a ticket is good, with which a page of another site opens a stream or a WebSocket' -r
complete -c topicserver -l audit-log -d 'Append a line of JSON to this file for each login, refusal and change of --auth' -r -F
complete -c topicserver -l max-topics -d 'Maximum topics per connection' -r
complete -c topicserver -l max-outbox -d 'Maximum bytes queued per connection. A classic client beyond it is disconnected; an extended one catches up from the history' -r
complete -c topicserver -l max-queued -d 'Maximum bytes in all queues together: for connections, for topics, and of unfinished frames. Near it, connections that have more queued than others are treated as if they were beyond --max-outbox [default: a quarter of the machine\'s memory, at least 256 MiB]' -r
complete -c topicserver -l max-mailbox -d 'Maximum bytes queued per topic. Beyond it the server reads the topic\'s publishers more slowly' -r
complete -c topicserver -l max-connections -d 'Maximum connections' -r
complete -c topicserver -l max-connections-per-address -d 'Maximum connections per IP address' -r
complete -c topicserver -l registration-timeout -d 'Time for a new connection to register' -r
complete -c topicserver -l frame-timeout -d 'Time to finish a frame that has begun' -r
complete -c topicserver -l write-timeout -d 'Time for a peer to accept any of the bytes queued for it; a peer that accepts none is disconnected' -r
complete -c topicserver -l drain-timeout -d 'Time to send what is queued when a connection or the server ends' -r
complete -c topicserver -l name-grace -d 'Time to keep the name of a client whose connection has ended, so that the client can come back under it' -r
complete -c topicserver -l history-messages -d 'Messages to keep in memory per topic; 0 keeps none' -r
complete -c topicserver -l history-bytes -d 'Bytes of messages to keep in memory per topic; 0 keeps none' -r
complete -c topicserver -l history-memory -d 'Bytes of messages and ids to keep in memory for all topics. Beyond it, the least recently used topic drops its messages, then its oldest ids' -r
complete -c topicserver -l id-window -d 'Time to remember the id of a message. A message sent again with the same id in that time is not delivered again' -r
complete -c topicserver -l max-ids -d 'Maximum ids to remember per publisher and topic' -r
complete -c topicserver -l max-presence -d 'Maximum members of a topic for which the server announces who joins' -r
complete -c topicserver -l data -d 'Keep messages on disk in this directory, so that they survive a restart' -r -F
complete -c topicserver -l storage-timeout -d 'Time to store a message on disk. Beyond it the publisher gets the error storage-busy' -r
complete -c topicserver -l keep-age -d 'Maximum age of messages on disk' -r
complete -c topicserver -l keep-messages -d 'Messages to keep on disk per topic' -r
complete -c topicserver -l keep-bytes -d 'Bytes of messages to keep on disk per topic' -r
complete -c topicserver -l clock-settle -d 'Time for which the system\'s clock must run evenly, after the start and after a jump, before messages are deleted for their age by it' -r
complete -c topicserver -l cluster -d 'Be one of several servers that share their topics through these NATS servers with JetStream, as in nats://10.0.0.1,nats://10.0.0.2' -r
complete -c topicserver -l cluster-name -d 'Name of the cluster, if several share the NATS servers' -r
complete -c topicserver -l node -d 'Name of this server in the cluster [default: host name and port]' -r
complete -c topicserver -l advertise -d 'Where clients reach this server, for those that another server sends here [default: host name and port]' -r
complete -c topicserver -l cluster-durability -d 'What an acknowledgement promises. flushed: the message is on the disks of most NATS servers; that they flush is checked, see --nats-monitor. replicated: it is in the memory of most' -r -f -a "flushed\t'The message is on the disks of most NATS servers'
replicated\t'The message is in the memory of most NATS servers; when all lose their power at once, the messages of the last seconds are lost'"
complete -c topicserver -l nats-monitor -d 'Monitoring addresses of all NATS servers, as in http://10.0.0.1:8222' -r
complete -c topicserver -l cluster-credentials -d 'How to log in to NATS: a file of credentials as NATS makes it, or a line with USER:PASSWORD, or with a token' -r -F
complete -c topicserver -l cluster-ca -d 'Authorities for NATS\'s certificates: a PEM file [default: those of the system]' -r -F
complete -c topicserver -l cluster-shards -d 'Streams to spread the topics over. It can\'t be changed later' -r
complete -c topicserver -l cluster-replicas -d 'NATS servers to keep each message on [default: all, at most 3]' -r
complete -c topicserver -l allow-origin -d 'Let pages of this other site use the server: SCHEME://HOST or SCHEME://HOST:PORT. Can be given several times' -r
complete -c topicserver -l allow-host -d 'Let browsers reach the server under this name, in addition to its addresses, localhost and the name of the machine. Can be given several times' -r
complete -c topicserver -l max-headers -d 'Maximum bytes of an HTTP request before its body' -r
complete -c topicserver -l max-stream-topics -d 'Maximum topics of one stream over HTTP' -r
complete -c topicserver -l ping-interval -d 'Time between two pings of a WebSocket. The server closes it when two in a row stay unanswered' -r
complete -c topicserver -l tls-cert -d 'Speak TLS with this certificate: a PEM file with the server\'s certificate first, then those that vouch for it' -r -F
complete -c topicserver -l tls-key -d 'The certificate\'s private key: a PEM file' -r -F
complete -c topicserver -l tls-self-signed -d 'Speak TLS with a certificate that the server makes, for the names of the machine and these' -r
complete -c topicserver -l tls -d 'Whether connections may or must speak TLS [default: optional with a certificate, otherwise off]' -r -f -a "off\t'Connections may not speak TLS'
optional\t'Connections may speak TLS'
required\t'Connections must speak TLS'"
complete -c topicserver -l tls-min -d 'Oldest version of TLS: 1.2 or 1.3' -r -f -a "1.2\t'1.2'
1.3\t'1.3'"
complete -c topicserver -l tls-handshake-timeout -d 'Time for a TLS handshake' -r
complete -c topicserver -l max-handshakes -d 'Maximum TLS handshakes that are computed at the same time; more wait [default: 64 per core]' -r
complete -c topicserver -l tls-check-interval -d 'Time between two checks whether the files of --tls-cert and --tls-key have changed' -r
complete -c topicserver -l hsts -d 'Tell browsers to use https only for this host, on every port, for this long. Not sent with a self-signed certificate' -r
complete -c topicserver -l trust-proxy -d 'Believe the proxies at this address or in this network when they say whom they forward, by the PROXY protocol (version 1 or 2) or by the headers Forwarded and X-Forwarded-For; unix: stands for everybody on the UNIX socket, and unix:33 for user 33 there. Can be given several times' -r
complete -c topicserver -l admin -d 'Serve metrics, statistics and commands to administrators here: an address with a port, or unix:PATH. Whoever reaches it may end the server, so keep it to this machine' -r
complete -c topicserver -l drain-announce -d 'When the server is to end, say so on /-/ready for so long before anything else: a load balancer then sends no new clients' -r
complete -c topicserver -l drain-spread -d 'When the server ends, close its connections one after another over so long, and not all at once: so their clients don\'t reach the next server all at once' -r
complete -c topicserver -l threads -d 'Worker threads [default: one per core; one fewer with --data, because a separate thread writes to disk]' -r
complete -c topicserver -l announce -d 'Tell everybody in the local network that there is a server, by multicast DNS: chat -find lists those that do'
complete -c topicserver -l open-to-all -d 'Let everybody do everything, also from outside of the server\'s own network'
complete -c topicserver -s h -l help -d 'Print help (see more with \'--help\')'
complete -c topicserver -s V -l version -d 'Print version'
