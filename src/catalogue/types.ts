/**
 * The catalogue after parsing: who exists, what can be reached, who is on call when, who may be asked. Durations are
 * seconds, instants milliseconds since 1970. The catalogue describes; the policy decides.
 */
export interface Person {
  id: string;
  name: string;
  email: string | undefined;
  groups: readonly string[];
  manager: string | undefined;
  /** Ids in other systems, e.g. `{ pagerduty: 'PXYZ' }`. People are mapped explicitly, never by e-mail alone. */
  ids: Readonly<Record<string, string>>;
}

/** A rotation: `people` take turns of `lengthDays` local days each, handing over at `startsAt`'s local time of day. */
export interface Rotation {
  level: number;
  people: readonly string[];
  /** Local date and time in the schedule's zone, `2026-01-05T09:00`. */
  startsAt: string;
  lengthDays: number;
}

export interface ScheduleOverride {
  level: number;
  user: string;
  startsAtMs: number;
  endsAtMs: number;
}

export interface Schedule {
  id: string;
  /** IANA name. Handover happens at the same local time on both sides of a daylight-saving change. */
  timeZone: string;
  rotations: readonly Rotation[];
  overrides: readonly ScheduleOverride[];
}

/** In YAML: `services: { orders: { schedules: [orders-primary] } }`. */
export interface Service {
  id: string;
  /** Being on call here is being on call for the service's resources (`shift.value.coversResource`). */
  schedules: readonly string[];
}

/** A secret is never written into YAML, only where to read it. File paths are relative to the catalogue. */
export type SecretRef = { file: string } | { env: string };

export interface PostgresRole {
  /** The template role whose rights an ephemeral role gets. */
  template: string;
  description: string | undefined;
}

export interface PostgresSettings {
  kind: 'postgres';
  host: string;
  port: number;
  database: string;
  sslMode: 'disable' | 'require' | 'verify-full';
  /** PEM file of the CA that signed the server's certificate, relative to the catalogue. */
  caFile: string | undefined;
  /** The broker's own login at the target: CREATEROLE and ADMIN OPTION on the templates, nothing more. */
  broker: { user: string; password: SecretRef | undefined };
  quarantineRole: string;
  /** Leave SECURITY DEFINER functions and triggers that an ephemeral role created. */
  keepDefiners: boolean;
  /** Issuing is refused above this number of ephemeral roles. */
  maxRoles: number;
  roles: ReadonlyMap<string, PostgresRole>;
}

export interface SshRole {
  /** The account at the host. */
  login: string;
  forceCommand: string | undefined;
  /** CIDR list for the certificate's source-address option. */
  sourceAddress: string | undefined;
  description: string | undefined;
}

export interface SshHost {
  /** The name people type: an alias in the generated SSH configuration. */
  name: string;
  host: string;
  port: number;
  /** `ssh-ed25519 AAAA…` lines; empty where `hostCa` vouches. */
  hostKeys: readonly string[];
}

export interface SshSettings {
  kind: 'ssh';
  hosts: readonly SshHost[];
  /** A host CA's public key line, for `@cert-authority` in known_hosts. */
  hostCa: string | undefined;
  roles: ReadonlyMap<string, SshRole>;
}

export type TargetSettings = PostgresSettings | SshSettings;
export type TargetKind = TargetSettings['kind'];

export interface Resource {
  id: string;
  description: string | undefined;
  service: string;
  environment: string;
  sensitivity: 'low' | 'medium' | 'high';
  defaultRole: string;
  /** Role names, narrowest first. */
  roles: readonly string[];
  session: { defaultSeconds: number; maxSeconds: number; maxExtensions: number };
  credentialSeconds: number;
  target: TargetSettings;
}

/** One stage for now; `approvers` are people or `group:NAME`. */
export interface ApprovalChain {
  id: string;
  approvers: readonly string[];
  /** How long a request on this chain stays pending. */
  expiresSeconds: number;
}

export interface Catalogue {
  people: ReadonlyMap<string, Person>;
  groups: ReadonlySet<string>;
  services: ReadonlyMap<string, Service>;
  schedules: ReadonlyMap<string, Schedule>;
  resources: ReadonlyMap<string, Resource>;
  chains: ReadonlyMap<string, ApprovalChain>;
  /** Hex SHA-256 of the file as read: every decision records it. */
  sha256: string;
  /** The folder that relative paths in the catalogue start from. */
  directory: string;
}

/** Something wrong in a file that people write; `line` and `column` count from 1. */
export interface Finding {
  severity: 'error' | 'warning';
  file: string;
  line: number | undefined;
  column: number | undefined;
  message: string;
  hint: string | undefined;
}
