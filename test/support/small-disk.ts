// A disk that is soon full: where this is root and may mount.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { atEnd } from './at-end.ts';
import { tempDir } from './temp.ts';

export interface SmallDisk {
  readonly folder: string;
  /** Takes all that is left. */
  fill(): void;
}

export function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

export function smallDisk(): SmallDisk {
  const folder = tempDir();
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', folder]);
  atEnd(() => void execFileSync('umount', [folder]));
  return {
    folder,
    fill() {
      try {
        for (let n = 0; n < 1_000; n++) writeFileSync(join(folder, `filler-${n}`), Buffer.alloc(4096));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
  };
}
