/** Break-glass certificates for TLS: the name in the common name, who and by which slot in the organizational unit. */
import { randomBytes } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import type { PackMaterial } from '../protocol/messages.ts';
import type { BreakGlassCas, BreakGlassIssuer, SlotSubject } from './break-glass.ts';
import { readClientKey } from './x509-key.ts';

/** What is the same at every kind of target that takes X.509. */
export function x509Slots({
  x509,
}: BreakGlassCas): Pick<BreakGlassIssuer, 'material' | 'list' | 'checkMaterial' | 'chooseSerials' | 'sign'> {
  return {
    material: 'x509',
    list: 'break-glass-x509',
    checkMaterial(material) {
      keyOf(material);
    },
    chooseSerials: chooseX509Serials,
    sign: ({ name, keyId, serial, notBeforeMs, notAfterMs }: SlotSubject, material) =>
      x509.createCertificate({
        serial,
        subject: { name, unit: keyId },
        alternativeName: `oncall:${keyId}`,
        publicKey: keyOf(material),
        notBeforeMs,
        notAfterMs,
      }),
  };
}

/** 16 octets as capital hex digits, positive, as `chooseSerial` makes them; the last follow without a carry into the first. */
export function chooseX509Serials(count: number): string[] {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x1f) | 0x40;
  const first = BigInt(`0x${bytes.toString('hex')}`);
  return Array.from({ length: count }, (_, i) => (first + BigInt(i)).toString(16).toUpperCase());
}

function keyOf(material: PackMaterial): Buffer {
  if (material.kind !== 'x509') throw new AppError('invalid_request', 'not a public key for a certificate');
  return readClientKey(material.publicKey);
}
