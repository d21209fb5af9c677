import { Type } from '@sinclair/typebox';
import { Name, strict, Text } from '../schema.ts';

/** `publicKey`: a line, `ssh-ed25519 AAAA…`. */
export const SshMaterial = strict({ kind: Type.Literal('ssh'), publicKey: Text(1024) });

export const SshPart = strict({
  kind: Type.Literal('ssh'),
  certificate: Type.String(),
  login: Type.String(),
  hosts: Type.Array(strict({ name: Name, host: Type.String(), port: Type.Integer() })),
  knownHosts: Type.Array(Type.String()),
});
