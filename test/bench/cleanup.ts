// Everything that a run has started or made, ended and removed: last first, also when the run fails or is interrupted.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const endings: (() => unknown)[] = [];

export function atEnd(ending: () => unknown): void {
  endings.push(ending);
}

export async function endAll(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending();
}

/** A folder of our own, 0700. */
export function makeFolder(name: string): string {
  return make(name, 0o700);
}

/** One that other accounts may pass through: a server that root starts runs as another one. */
export function makeSharedFolder(name: string): string {
  return make(name, 0o755);
}

function make(name: string, mode: number): string {
  const folder = mkdtempSync(join(tmpdir(), `oncall-bench-${name}-`));
  chmodSync(folder, mode);
  atEnd(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }));
  return folder;
}
