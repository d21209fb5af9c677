/**
 * Break-glass at each kind of target: certificates by CAs of their own, signed while all is well for the time without a broker.
 * What keeps them narrow is the target: it takes those CAs' word for break-glass names alone, and for those names nobody else's.
 */
import type { Resource } from '../catalogue/types.ts';
import type { PackMaterial, PackPlace } from '../protocol/messages.ts';
import type { TargetKind } from '../protocol/target-kinds.ts';
import type { Requirement, TargetGuide } from './issuer.ts';
import type { RevocationList } from './revocations.ts';
import type { SshCa } from './ssh.ts';
import type { X509Ca } from './x509-ca.ts';

export interface BreakGlassCas {
  ssh: SshCa;
  x509: X509Ca;
}

/** The certificate of one slot. */
export interface SlotSubject {
  resource: Resource;
  role: string;
  /** `breakglass-<resource>-<role>`. */
  name: string;
  /** `bg/<user>/<pack>/<slot>`. */
  keyId: string;
  /** As `serialsFrom` makes them. */
  serial: string;
  notBeforeMs: number;
  notAfterMs: number;
}

export interface BreakGlassIssuer {
  readonly kind: TargetKind;
  readonly material: PackMaterial['kind'];
  readonly list: RevocationList;
  /** Throws AppError `invalid_request` for a key that no certificate may be made over. */
  checkMaterial(material: PackMaterial): void;
  /** So many, one after the other from a random one on. */
  chooseSerials(count: number): string[];
  /** What tools need besides key and certificate. Throws AppError `target_refused` where the role is gone. */
  placeOf(resource: Resource, role: string): Promise<PackPlace>;
  /** An SSH certificate line, or PEM. */
  sign(slot: SlotSubject, material: PackMaterial): Promise<string>;
  /** What the target's admin must do beside the usual, ready to paste. */
  steps(resource: Resource): TargetGuide['steps'];
  /** Each requirement proven live, with certificates whose keys live as long as the check. */
  check(resource: Resource, signal: AbortSignal): Promise<readonly Requirement[]>;
}

/** Kinds that have nothing which a certificate could log in with, and why. */
export const NO_OFFLINE_PATH: Partial<Record<TargetKind, string>> = {
  mariadb: 'MariaDB compares the whole subject of a certificate, so none could say who used it',
  redis: 'Redis takes a certificate for the connection, not for a login',
  http: 'tokens are proven by the broker that made them',
};
