/** The SSH revocation list out of the broker's rows. Its form, and how it is verified, is in protocol/signed-krl.ts. */
import { AppError } from '../protocol/errors.ts';
import { type SignedKrl, signKrl } from '../protocol/signed-krl.ts';
import { encodeKrl } from '../protocol/ssh-krl.ts';

export interface KrlInput {
  number: number;
  /** Of each CA, by the blob of its public key. */
  sections: readonly { ca: Uint8Array; entries: readonly { serial: string }[] }[];
  nowMs: number;
}

/** The list's bytes. Throws AppError `invalid_request` for a serial that is not one. */
export function buildKrl({ number, sections, nowMs }: KrlInput): Buffer {
  return encodeKrl({
    number: BigInt(number),
    generatedAtSeconds: Math.floor(nowMs / 1000),
    comment: 'oncall',
    sections: sections.map(({ ca, entries }) => ({ ca, ...inRuns(entries) })),
  });
}

/** The certificates of a pack have serials one after the other: together they take the room of one. */
function inRuns(entries: readonly { serial: string }[]): { serials: bigint[]; ranges: [bigint, bigint][] } {
  const runs: [bigint, bigint][] = [];
  const serials = entries.map(({ serial }) => parseSerial(serial));
  for (const serial of serials.sort((a, b) => (a < b ? -1 : 1))) {
    const run = runs.at(-1);
    if (run !== undefined && serial <= run[1] + 1n) run[1] = serial;
    else runs.push([serial, serial]);
  }
  return {
    serials: runs.filter(([first, last]) => first === last).map(([first]) => first),
    ranges: runs.filter(([first, last]) => first < last),
  };
}

/** `sign`: a raw Ed25519 signature by the broker's identity key. */
export function createSignedKrl(input: KrlInput & { sign: (bytes: Uint8Array) => Uint8Array }): SignedKrl {
  return signKrl({ ...input, krl: buildKrl(input) }, input.sign);
}

function parseSerial(text: string): bigint {
  if (!/^[1-9]\d{0,19}$/.test(text)) throw new AppError('invalid_request', 'not a serial');
  return BigInt(text);
}
