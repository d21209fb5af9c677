import type { Node } from 'yaml';
import { readFields } from './fields.ts';
import type { Reader } from './read.ts';
import type { SecretRef } from './types.ts';

const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Where a secret is. The message never repeats what was written: it may be the secret. */
export function readSecretRef(reader: Reader, node: Node, path: string): SecretRef | undefined {
  if (!reader.isMapping(node)) {
    return reader.error(
      node,
      `${path} must say where the secret is, not what it is`,
      'write { file: secrets/NAME } or { env: NAME }, and change the secret if it was real',
    );
  }
  const fields = readFields(reader, node, path, ['file', 'env']);
  const file = fields?.text('file');
  const env = fields?.matching('env', (text) => ENV_NAME.test(text), 'the name of an environment variable');
  if (file && env) return reader.error(node, `${path} has both file and env`, 'keep one of them');
  if (file) return { file: file.value };
  return env ? { env: env.value } : reader.error(node, `${path} has neither file nor env`);
}
