/** Which of our ids and names a text from a target's log may hold. Attacker-controlled: everything found is only looked up. */

/** 19 characters of our base 32, as in every id, standing by themselves. */
const TOKEN = /(?<![0-9a-z])[0-9a-hjkmnp-tv-z]{19}(?![0-9a-z])/g;
/** sshd logs a certificate as `ID <key id> (serial <number>) CA …`. */
const SERIAL = /\(serial (\d{1,20})\)/;
const KEY_ID = /^(?:.*\bID )?([A-Za-z0-9._@+-]{1,128})\/gr_[0-9a-z]{19}\//;
const GRANT = /(?<![0-9a-z])gr_[0-9a-hjkmnp-tv-z]{19}(?![0-9a-z])/;
/** Serials of X.509 certificates and ids of tokens, which some write in small letters, some in capitals. */
const HEX = /(?<![0-9A-Za-z])[0-9A-Fa-f]{32}(?![0-9A-Za-z])/g;
const MOST_TOKENS = 10;
/** What logs put around a name: `user=NAME db=…`, `'NAME'@'host'`, `assumed-role/ROLE/NAME`. */
const AROUND = /[\s/"'`,;=()[\]@]+/;
/** As long as the names that we make, at the least: words and people's names are none. */
const PIECE = /^(?=.*\d).{16,256}$/;
const MOST_PIECES = 20;

export const MOST_NAME_LENGTH = 512;

export function namesIn(text: string): {
  name: string;
  /** Names as a whole: role names, serials, accounts. */
  handles: ReadonlySet<string>;
  credentials: ReadonlySet<string>;
  grants: ReadonlySet<string>;
  /** Whom a key id claims to be, and under which grant. */
  user: string | undefined;
  grant: string | undefined;
  /** It has the form of a login's own name. */
  claimsName: boolean;
} {
  const name = text.trim();
  const serial = SERIAL.exec(name)?.[1];
  const lower = name.toLowerCase();
  const ids = [...lower.matchAll(TOKEN)].slice(0, MOST_TOKENS).map(([token]) => token);
  const numbers = [...name.matchAll(HEX)]
    .slice(0, MOST_TOKENS)
    .flatMap(([hex]) => [hex.toUpperCase(), hex.toLowerCase()]);
  return {
    name,
    handles: new Set([
      name,
      ...name
        .split(AROUND)
        .filter((piece) => PIECE.test(piece))
        .slice(0, MOST_PIECES),
      ...(serial === undefined ? [] : [serial]),
      ...numbers,
    ]),
    // Targets that know no underscore, or that add a prefix of their own, leave the characters alone.
    credentials: new Set(ids.map((id) => `cr_${id}`)),
    grants: new Set(ids.map((id) => `gr_${id}`)),
    user: KEY_ID.exec(name)?.[1],
    grant: GRANT.exec(lower)?.[0],
    claimsName: /^oncall[_-]/.test(name),
  };
}
