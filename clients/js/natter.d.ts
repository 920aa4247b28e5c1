/** What a client does about an error code of docs/protocol.md. */
export type Treatment = "message" | "again" | "request" | "frame" | "return" | "stop" | "notice" | "http";

/** Every error code of docs/protocol.md. */
export const CODES: Readonly<Record<string, Treatment>>;

/** Bytes of a frame that every server with default settings accepts. */
export const MAX_FRAME: number;

/** What went wrong. */
export class NatterError extends Error {
  /** One of docs/protocol.md, `connection-lost`, `wrong-key`, `bad-address`, `closed`, or one of Node's (`ECONNREFUSED`). */
  readonly code: string;
  /** What happened, and what to do. */
  readonly text: string;
  /** Of the message that was refused. */
  readonly id?: string;
  /** Where. */
  readonly topic?: string;
}

export interface Options {
  /** The name by which others know you. */
  user?: string;
  /** A random secret by which the server knows you again; a new one without it. */
  client?: string;
  /** Whether a lost connection is made again; true without it. */
  reconnect?: boolean;
  /** Bytes of the longest frame; 65536 without it. */
  maxFrame?: number;
  /** A token, or a user and a password: by what you prove who you are. */
  auth?: string | { user: string; password: string };
  /** Whether that may go to another machine in plain text; false without it. */
  insecureAuth?: boolean;
  /** In Node, over `tls://`: authorities' certificates in PEM, instead of those of Node. */
  ca?: string;
}

/** The last message that was seen of a topic: where to resume. */
export interface Place { epoch: string; seq: number }

export interface Message {
  topic: string;
  text: string;
  /** Who said it, if they have a name. */
  user?: string;
  /** Its number; none if the server could not store it. */
  seq?: number;
  /** When the server got it, in milliseconds since 1970. */
  time: number;
}

export interface Person { user: string; ip: string; port: string }
export interface Members { topic: string; count: number; users: Person[] }
export interface Joined extends Place { topic: string; recovered?: boolean }
export interface Start { last?: number; since?: number; resume?: Place }
export interface Range { topic: string; epoch: string; first: number; messages: Message[] }
export interface Ack { topic: string; seq: number; id: string }

export interface Events {
  message: Message;
  /** Messages that the server no longer has. */
  gap: { topic: string; from: number; to: number };
  joined: Person & { topic: string };
  left: Person & { topic: string };
  /** There is a connection, and everything was joined again. */
  connected: { user?: string };
  disconnected: { error: NatterError; retryIn: number };
  /** A topic goes on after a lost connection; `isReset`: its history began anew. */
  resumed: Joined & { missed: number; isReset: boolean };
  /** A topic that was joined is refused after a lost connection. */
  refused: NatterError;
  /** Somebody else has taken the name meanwhile: messages wait for `rename`. */
  nameless: { error: NatterError };
  /** Something has changed that people should know, as `text` says. While `code` is `no-quorum` the
   *  server takes no message and brings none, until `quorum` comes or the connection is another one. */
  notice: { code: string; text: string };
  /** An error that belongs to nothing that waits for an answer. */
  error: NatterError;
  /** The client has ended; with an error, because coming back would not help. */
  closed: { error?: NatterError };
}

/** A participant. It comes back by itself when a connection is lost. */
export class Client {
  /** @param address `HOST:PORT` (TCP in Node, WebSocket in browsers), or a URL with `tcp:`, `tls:`,
   *  `ws:`, `wss:`, `http:` or `https:`; or several of them, which are one service, in an array or
   *  separated by commas */
  constructor(address: string | string[], options?: Options);
  /** The address in use, or the one that was used or tried last. */
  readonly address: string | undefined;
  /** The name that the server granted. */
  readonly user: string | undefined;
  /** Where a message is when the server has acknowledged it: on disk, in the memory of most servers
   *  of its cluster, or in its own memory. Older servers don't say. */
  readonly durability: "flushed" | "replicated" | "memory" | undefined;
  readonly isConnected: boolean;
  readonly topics: string[];
  place(topic: string): Place | undefined;
  /** Calls `handler` with each event; returns a function that ends it. */
  on<E extends keyof Events>(event: E, handler: (event: Events[E]) => void): () => void;
  /** Messages of all topics as they come, until the client is closed. */
  messages(): AsyncIterableIterator<Message>;
  /** Makes the first connection; `isPatient`: goes on trying. */
  start(options?: { isPatient?: boolean }): Promise<void>;
  /** Comes back at once, if it waits for the next attempt. */
  retry(): void;
  join(topic: string, start?: Start): Promise<Joined>;
  leave(topic: string): Promise<void>;
  who(topic: string): Promise<Members>;
  lookup(user: string): Promise<Person>;
  list(): Promise<{ topic: string; members: number; seq: number }[]>;
  /** Messages before a number, or the newest ones. */
  history(topic: string, range?: { before?: number; limit?: number }): Promise<Range>;
  /** Resolves when the server has acknowledged it, over however many connections. */
  publish(topic: string, text: string, options?: { id?: string }): Promise<Ack>;
  /** Takes another name; the old one is kept until the new one is granted. */
  rename(user: string): Promise<void>;
  /** Waits until everything was acknowledged or refused, and disconnects. */
  close(): Promise<void>;
  abort(): void;
}

/** Connects; rejects if that can't be, or if the name is taken. */
export function connect(address: string | string[], options?: Options): Promise<Client>;

/** Why a topic's name, or a user's, is not allowed; `null` if it is. */
export function topicProblem(name: string): string | null;
export function userProblem(name: string): string | null;
/** A random text of `2 * bytes` characters. */
export function randomText(bytes: number): string;
