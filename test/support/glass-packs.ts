// A device on the disk as `oncall enroll` leaves it, and packs on it as a broker makes them: with CAs of our own, by src/break-glass
// itself. No broker is there. Free of vitest, so that the bench can use it too.
import 'reflect-metadata';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { deviceWebhookKey, planSlots, sealPart, signPack } from '../../src/break-glass/pack.ts';
import { keepPack, type PackKey } from '../../src/client/break-glass/packs.ts';
import { type ClientConfig, saveConfig } from '../../src/client/config.ts';
import type { ClientContext } from '../../src/client/context.ts';
import { createDeviceKeys, type NewDeviceKeys } from '../../src/client/device-key.ts';
import { openKeystore } from '../../src/client/keystore.ts';
import { createSshKey } from '../../src/client/targets/ssh.ts';
import { createX509Key } from '../../src/client/targets/x509.ts';
import { createX509Ca } from '../../src/issuers/x509-ca.ts';
import { breakGlassKeyId, breakGlassName } from '../../src/protocol/break-glass-names.ts';
import { createId } from '../../src/protocol/ids.ts';
import { formatPublicKey } from '../../src/protocol/keys.ts';
import type { Pack, PackMaterial, PackPlace } from '../../src/protocol/messages.ts';
import { encodeCertificate } from '../../src/protocol/ssh-certificate.ts';
import { formatSshPublicKey, splitSshLine, sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { formatInstant } from '../../src/protocol/time.ts';

export const HOUR_MS = 3_600_000;
export const WEBHOOK_SECRET = 'the-secret-of-the-catalogue';

type Keys = { publicKey: KeyObject; privateKey: KeyObject };

/** Who signs packs, and certificates for break-glass. */
export interface GlassAuthority {
  identity: Keys;
  identityKey: string;
  sshCa: Keys;
  /** A line for TrustedUserCAKeys. */
  sshCaLine: string;
  x509Ca: Keys;
}

export function glassAuthority(identity: Keys = generateKeyPairSync('ed25519')): GlassAuthority {
  const [sshCa, x509Ca] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
  const identityKey = formatPublicKey(identity.publicKey);
  return { identity, identityKey, sshCa, sshCaLine: formatSshPublicKey(sshCa.publicKey), x509Ca };
}

export interface GlassDevice<C extends ClientContext = ClientContext> {
  context: C;
  config: ClientConfig;
  keys: NewDeviceKeys;
  home: string;
}

/** With the file keystore, in the folders of `context`. */
export async function createGlassDevice<C extends ClientContext>(
  context: C,
  authority: GlassAuthority,
  {
    id = createId('dev', Date.now()),
    user = 'ana',
    broker,
    trust = {},
  }: GlassDeviceOptions & { broker: string },
): Promise<GlassDevice<C>> {
  const keys = await createDeviceKeys();
  await (await openKeystore('file', context)).save(keys.keyId, keys.record);
  const config: ClientConfig = {
    version: 1,
    broker,
    identityKey: authority.identityKey,
    logKey: authority.identityKey,
    origin: 'oncall.test/audit',
    ca: 'pinned',
    user,
    device: { id, keyId: keys.keyId, name: 'laptop', keystore: 'file' },
    ...trust,
  };
  await saveConfig(context.paths, config);
  return { context, config, keys, home: String(context.env.ONCALL_HOME) };
}

export interface GlassDeviceOptions {
  id?: string;
  user?: string;
  trust?: Partial<ClientConfig>;
}

export interface PackOptions {
  resource?: string;
  role?: string;
  place: PackPlace;
  startsAtMs?: number;
  coverMs?: number;
  epoch?: number;
  webhookUrl?: string;
  nowMs?: number;
}

/** As the broker would make it for this device, for a key that the device has made. */
export async function makePack(
  authority: GlassAuthority,
  device: GlassDevice,
  options: PackOptions,
): Promise<{ pack: Pack; key: PackKey }> {
  const key = options.place.kind === 'ssh' ? await createSshKey() : await createX509Key();
  return {
    key,
    pack: await packFor(authority, device, { kind: key.kind, publicKey: key.publicKey }, options),
  };
}

/** The same, for the public half of the key alone. */
export async function packFor(
  authority: GlassAuthority,
  { config, keys }: GlassDevice,
  material: PackMaterial,
  options: PackOptions,
): Promise<Pack> {
  const {
    place,
    resource = 'db-host',
    role = 'operator',
    epoch = 1,
    webhookUrl,
    nowMs = Date.now(),
  } = options;
  const startsAtMs = options.startsAtMs ?? nowMs - 10 * 60_000;
  const endsAtMs = startsAtMs + (options.coverMs ?? 2 * HOUR_MS);
  const id = createId('bg', nowMs);
  const name = breakGlassName({ resource, role });
  const certificate = await certifier(authority, material, name, config.user, id);
  const slots = await Promise.all(
    planSlots(startsAtMs, endsAtMs).map(async ({ number, notBeforeMs, notAfterMs }) => ({
      number,
      notBefore: formatInstant(notBeforeMs),
      notAfter: formatInstant(notAfterMs),
      serial: String(number + 1),
      sealed: await sealPart(
        keys.sealingKey,
        id,
        number,
        Buffer.from(await certificate(number, notBeforeMs, notAfterMs)),
      ),
    })),
  );
  const token = deviceWebhookKey(WEBHOOK_SECRET, config.device.id);
  return signPack(
    {
      ...{ schema: 'oncall.pack/v1', id, user: config.user, device: config.device.id, resource, role },
      ...{ kind: place.kind, epoch, name, place },
      material,
      webhook:
        webhookUrl === undefined
          ? null
          : { url: webhookUrl, sealed: await sealPart(keys.sealingKey, id, 'webhook', token) },
      issuedAt: formatInstant(nowMs),
      startsAt: formatInstant(startsAtMs),
      endsAt: formatInstant(endsAtMs),
      slots,
    },
    (bytes) => sign(null, bytes, authority.identity.privateKey),
  );
}

async function certifier(
  { sshCa, x509Ca }: GlassAuthority,
  key: PackMaterial,
  name: string,
  user: string,
  id: string,
) {
  const keyIdOf = (slot: number) => breakGlassKeyId({ user, pack: id, slot });
  if (key.kind === 'ssh') {
    return async (slot: number, notBeforeMs: number, notAfterMs: number) =>
      encodeCertificate({
        subjectPublicKey: splitSshLine(key.publicKey).blob,
        serial: BigInt(slot + 1),
        type: 'user',
        keyId: keyIdOf(slot),
        principals: [name],
        validAfterSeconds: Math.floor(notBeforeMs / 1000),
        validBeforeSeconds: Math.floor(notAfterMs / 1000),
        criticalOptions: {},
        extensions: ['permit-pty'],
        caPublicKey: sshPublicKeyBlob(sshCa.publicKey),
        sign: (bytes) => sign(null, bytes, sshCa.privateKey),
      });
  }
  const ca = await createX509Ca(x509Ca.privateKey, 'http://127.0.0.1/list');
  return (slot: number, notBeforeMs: number, notAfterMs: number) =>
    ca.createCertificate({
      serial: `0${slot + 1}`.slice(-2),
      subject: { name, unit: keyIdOf(slot) },
      alternativeName: `https://broker.test/break-glass/${id}`,
      publicKey: Buffer.from(key.publicKey, 'base64'),
      notBeforeMs,
      notAfterMs,
    });
}

/** PEM of the CA behind the certificates of {@link makePack}. */
export async function x509CaPem({ x509Ca }: GlassAuthority): Promise<string> {
  return (await createX509Ca(x509Ca.privateKey, 'http://127.0.0.1/list')).certificatePem;
}

/** Made, and kept on the device. */
export async function givePack(
  authority: GlassAuthority,
  device: GlassDevice,
  options: PackOptions,
): Promise<Pack> {
  const { pack, key } = await makePack(authority, device, options);
  const { context, config, keys } = device;
  const cacheKey = Buffer.from(keys.record.cache, 'base64');
  const keptAt = formatInstant(options.nowMs ?? context.now());
  await keepPack(context.paths, config, cacheKey, { pack, key, keptAt });
  return pack;
}
