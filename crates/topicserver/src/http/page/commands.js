// Lines that begin with a slash. One that looks like a command and is none is never sent.

const HELP = "/join TOPIC · /leave [TOPIC] · /me TEXT · /nick NAME · /search TEXT · //TEXT says /TEXT";

// What was typed: `{ say }`, another action with what it takes, or `{ refuse }`.
export function read(line) {
  if (!line.startsWith("/")) return { say: line };
  if (line.startsWith("//")) return { say: line.slice(1) };
  const [, name, rest] = /^(\S*)\s*([\s\S]*)$/.exec(line);
  const argument = rest.trim();
  const needed = (action) => (argument ? action : { refuse: `${name} needs something after it: ${HELP}` });
  switch (name) {
    case "/join": return needed({ join: argument });
    case "/leave": return { leave: argument || null };
    case "/me": return needed({ me: argument });
    case "/nick": return needed({ nick: argument });
    case "/search": return needed({ search: argument });
    case "/help": return { refuse: HELP };
    default: return { refuse: `${name} is no command, and nothing was sent. ${HELP}` };
  }
}
