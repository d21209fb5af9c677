/** What break-glass needs of this device: its keys, at rest and for signing. */
import type { KeyObject } from 'node:crypto';
import { AppError } from '../../protocol/errors.ts';
import type { Client } from '../client.ts';
import { describeKeys } from '../device-key.ts';
import type { JournalOwner } from './journal.ts';

export interface GlassKeys {
  readonly owner: JournalOwner;
  readonly cacheKey: Uint8Array;
  readonly sealing: KeyObject;
}

/** Undefined for a device that keeps nothing at rest: an ssh-agent's, without a second keystore. Throws what the keystore throws. */
export async function glassKeys({ context, config, device }: Client): Promise<GlassKeys | undefined> {
  const { signer, cacheKey, sealing, record } = await device();
  if (cacheKey === undefined || sealing === undefined || record === null) return undefined;
  const { signingKey } = await describeKeys(record, config.device.sshAgentKey);
  const owner: JournalOwner = {
    paths: context.paths,
    device: config.device.id,
    user: config.user,
    publicKey: signingKey,
    sign: signer.sign,
    now: context.now,
  };
  return { owner, cacheKey, sealing };
}

/** The same. Throws AppError `config_invalid` for a device that can have no packs. */
export async function requireGlassKeys(client: Client): Promise<GlassKeys> {
  const keys = await glassKeys(client);
  if (keys !== undefined) return keys;
  throw new AppError('config_invalid', 'this device keeps no break-glass packs: its ssh-agent only signs', {
    hint: 'enrol it with a second keystore: oncall enroll --help',
  });
}
