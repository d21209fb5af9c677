// Devices that ask for access as fast as they are told to: signed requests over kept connections.
import { generateKeyPairSync } from 'node:crypto';
import { Pool } from 'undici';
import type { CredentialReply, Envelope, RequestView } from '../../src/protocol/messages.ts';
import { encodeSshPublicKey, formatSshPublicKeyLine } from '../../src/protocol/ssh-wire.ts';
import { type CallOptions, TestDevice } from '../support/device.ts';
import { type BenchBroker, DECLARER, HOSTS, INCIDENT, PEOPLE } from './broker.ts';
import { atEnd } from './cleanup.ts';

/** Milliseconds that one way through took: two exchanges, without what the client does between them. */
export interface Flow {
  readonly ms: number;
}

export class Engineers {
  readonly #pool: Pool;
  readonly #devices: TestDevice[] = [];
  readonly #sshKey = makeSshKey();
  #flows = 0;

  private constructor(broker: BenchBroker, connections: number) {
    this.#pool = new Pool(broker.url, { connections, pipelining: 1, connect: { ca: broker.ca } });
    atEnd(() => this.#pool.close());
  }
}
