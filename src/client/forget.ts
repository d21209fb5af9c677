import type { ClientConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import { removePath } from './files.ts';
import { openKeystore } from './keystore.ts';
import { followSession } from './tool-files.ts';

/**
 * Takes a revoked device's keys, cached credentials and configuration off this machine. What it has seen of the audit log
 * stays: checkpoints and receipts are evidence. The keys go last but one, so that a second try after a crash finds the rest.
 */
export async function forgetDevice(context: ClientContext, config: ClientConfig): Promise<void> {
  const { paths } = context;
  for (const path of [
    paths.runDir,
    paths.credentialsDir,
    paths.statusFile,
    paths.promptFile,
    paths.completeDir,
    paths.knownTargetsFile,
    paths.enrollingFile,
  ]) {
    removePath(path);
  }
  // What a person's own files repeat says from now on that nothing is held.
  await followSession(context);
  removePath(paths.toolsDir);
  const kind = config.device.keystore === 'ssh-agent' ? config.device.secondKeystore : config.device.keystore;
  if (kind !== undefined) await (await openKeystore(kind, context)).remove(config.device.keyId);
  removePath(paths.configFile);
}
