/** What a device sends for a credential of each kind, and what it gets. */

import { type Static, Type } from '@sinclair/typebox';
import { AwsMaterial, AwsPart } from './aws.ts';
import { HttpMaterial, HttpPart } from './http.ts';
import { KubernetesMaterial, KubernetesPart } from './kubernetes.ts';
import { MariadbMaterial, MariadbPart } from './mariadb.ts';
import { PostgresMaterial, PostgresPart } from './postgres.ts';
import { RedisMaterial, RedisPart } from './redis.ts';
import { SshMaterial, SshPart } from './ssh.ts';
import { X509Material, X509Part } from './x509.ts';

/** Public halves only: key pairs and passwords are made on the device. */
export const KeyMaterial = Type.Union([
  PostgresMaterial,
  SshMaterial,
  MariadbMaterial,
  RedisMaterial,
  KubernetesMaterial,
  AwsMaterial,
  X509Material,
  HttpMaterial,
]);
export type KeyMaterial = Static<typeof KeyMaterial>;

/** What the device needs besides its own secret. Stored with the credential; never logs in by itself. */
export const PublicPart = Type.Union([
  PostgresPart,
  SshPart,
  MariadbPart,
  RedisPart,
  KubernetesPart,
  AwsPart,
  X509Part,
  HttpPart,
]);
export type PublicPart = Static<typeof PublicPart>;
