/**
 * The lists of revocations as targets pull them: each made anew when its number has risen, or its day has come. sshd reads one
 * file, so what both SSH CAs have revoked is one list; its number is the sum of theirs, which rises with either.
 */
import { createSignedKrl } from '../issuers/krl.ts';
import type { RevocationList } from '../issuers/revocations.ts';
import { crlDay, type X509Ca } from '../issuers/x509-ca.ts';
import type { SignedKrl } from '../protocol/signed-krl.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { RevocationRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import type { BrokerKeys } from './keys.ts';

export interface PublishedLists {
  /** OpenSSH's binary list, and the document that the identity key has signed. */
  ssh(): Promise<SignedKrl>;
  /** A CRL as DER. */
  x509(): Promise<Uint8Array>;
  /** Of the break-glass CA: a CRL as DER. */
  breakGlass(): Promise<Uint8Array>;
}

interface Content {
  number: number;
  /** In the order in which the lists were named. */
  entries: readonly (readonly RevocationRow[])[];
  nowMs: number;
}

export function createPublishedLists(
  store: Store,
  keys: Pick<BrokerKeys, 'sshCa' | 'identity' | 'breakGlass'>,
  { x509Ca, breakGlassCa }: Record<'x509Ca' | 'breakGlassCa', X509Ca>,
): PublishedLists {
  function published<T>(
    lists: readonly RevocationList[],
    make: (content: Content) => T,
    ageOf: (nowMs: number) => number = () => 0,
  ): () => Promise<T> {
    let cached: { number: number; age: number; made: T } | undefined;
    return async () => {
      const read = await store.read((tx) => Promise.all(lists.map((list) => tx.revocations(list))));
      const number = read.reduce((sum, list) => sum + list.number, 0);
      const entries = read.map((list) => list.entries);
      const nowMs = await store.now();
      const age = ageOf(nowMs);
      if (cached?.number !== number || cached.age !== age) {
        cached = { number, age, made: make({ number, entries, nowMs }) };
      }
      return cached.made;
    };
  }

  const sshCas = [keys.sshCa, keys.breakGlass.ssh].map(({ privateKey }) => sshPublicKeyBlob(privateKey));
  const crlOf = (list: RevocationList, ca: X509Ca) =>
    published(
      [list],
      ({ number, entries, nowMs }) =>
        ca.createCrl({ number, serials: entries.flat().map(({ serial }) => serial), nowMs }),
      crlDay,
    );
  return {
    ssh: published(['ssh', 'break-glass-ssh'], ({ number, entries, nowMs }) =>
      createSignedKrl({
        ...{ number, nowMs },
        sections: sshCas.map((ca, list) => ({ ca, entries: entries[list] ?? [] })),
        sign: keys.identity.sign,
      }),
    ),
    x509: crlOf('x509', x509Ca),
    breakGlass: crlOf('break-glass-x509', breakGlassCa),
  };
}
