/** The lists of revocations as targets pull them: each made anew when its number has risen, or its day has come. */
import type { SignedKrl } from '../issuers/krl.ts';
import { createSignedKrl } from '../issuers/krl.ts';
import type { RevocationList } from '../issuers/revocations.ts';
import { crlDay, type X509Ca } from '../issuers/x509-ca.ts';
import { sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { RevocationRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import type { BrokerKeys } from './keys.ts';

export interface PublishedLists {
  /** OpenSSH's binary list, and the document that the identity key has signed. */
  ssh(): Promise<SignedKrl>;
  /** A CRL as DER. */
  x509(): Promise<Uint8Array>;
}

interface Content {
  number: number;
  entries: readonly RevocationRow[];
  nowMs: number;
}

export function createPublishedLists(
  store: Store,
  { sshCa, identity }: Pick<BrokerKeys, 'sshCa' | 'identity'>,
  x509Ca: X509Ca,
): PublishedLists {
  function published<T>(
    list: RevocationList,
    make: (content: Content) => T,
    ageOf: (nowMs: number) => number = () => 0,
  ): () => Promise<T> {
    let cached: { number: number; age: number; made: T } | undefined;
    return async () => {
      const { number, entries } = await store.read((tx) => tx.revocations(list));
      const nowMs = await store.now();
      const age = ageOf(nowMs);
      if (cached?.number !== number || cached.age !== age) {
        cached = { number, age, made: make({ number, entries, nowMs }) };
      }
      return cached.made;
    };
  }

  const ca = sshPublicKeyBlob(sshCa.privateKey);
  return {
    ssh: published('ssh', (content) => createSignedKrl({ ...content, ca, sign: identity.sign })),
    x509: published(
      'x509',
      ({ number, entries, nowMs }) =>
        x509Ca.createCrl({ number, serials: entries.map(({ serial }) => serial), nowMs }),
      crlDay,
    ),
  };
}
