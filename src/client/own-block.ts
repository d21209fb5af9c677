/** Our block in a person's own file: what it is like, written, and taken away. */
import { dirname, join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { ensureDir } from './files.ts';
import { withLock } from './lock.ts';
import { findBlock, withBlock, withoutBlock } from './marked-block.ts';
import { type OwnFile, readOwnFile, replaceOwnFile } from './own-file.ts';
import type { ClientPaths } from './paths.ts';

const LOCK_TIMEOUT_MS = 10_000;

/** Where the block of a tool stands. */
export interface BlockPlace {
  /** Absolute. */
  readonly file: string;
  /** What begins a comment in it: `#`. */
  readonly comment: string;
  /** Where in a file that has no block yet. */
  readonly at: 'top' | 'end';
  /** Of the file where it is missing: it is made, with its folder. */
  readonly mode: number;
}

/** `edited`: by somebody else, and not as we would have it now. */
export type BlockState = 'absent' | 'current' | 'outdated' | 'edited';

export interface BlockView {
  readonly file: OwnFile;
  readonly state: BlockState;
  /** What stands there now. */
  readonly lines: readonly string[];
}

/** `ssh`, and `ssh@staging` for another installation. */
export function blockName(tool: string, { profile }: ClientPaths): string {
  return profile === 'default' ? tool : `${tool}@${profile}`;
}

/**
 * Beside these lines; without them, whatever stands there is current. Throws what {@link readOwnFile} throws, and AppError
 * `corrupt_file` for half a block.
 */
export function viewBlock(place: BlockPlace, name: string, lines?: readonly string[]): BlockView {
  const file = readOwnFile(place.file, place);
  const found = file.text === undefined ? undefined : findBlock(file.text, marksOf(place, name));
  if (found === undefined) return { file, state: 'absent', lines: [] };
  const isSame = lines !== undefined && found.lines.join('\n') === lines.join('\n');
  if (found.edited && !isSame) return { file, state: 'edited', lines: found.lines };
  const isCurrent = !found.edited && (isSame || lines === undefined);
  return { file, state: isCurrent ? 'current' : 'outdated', lines: found.lines };
}

/** Fine where it stands already. What somebody else has edited is replaced only with `force`, else AppError `conflict`. */
export async function writeBlock(
  paths: ClientPaths,
  place: BlockPlace,
  name: string,
  lines: readonly string[],
  { force }: { force: boolean },
): Promise<BlockView> {
  return alone(paths, async () => {
    const view = viewBlock(place, name, lines);
    if (view.state === 'current') return view;
    if (view.state === 'edited' && !force) throw editedByHand(view, name);
    await replaceOwnFile(view.file, withBlock(view.file.text, lines, marksOf(place, name), place.at));
    return view;
  });
}

/** Fine where there is none. As for what somebody has edited, see {@link writeBlock}. */
export async function removeBlock(
  paths: ClientPaths,
  place: BlockPlace,
  name: string,
  { force }: { force: boolean },
): Promise<BlockView> {
  return alone(paths, async () => {
    const view = viewBlock(place, name);
    if (view.state === 'absent' || view.file.text === undefined) return view;
    if (view.state === 'edited' && !force) throw editedByHand(view, name);
    await replaceOwnFile(view.file, withoutBlock(view.file.text, marksOf(place, name)));
    return view;
  });
}

/** Two commands at once must not lose each other's block, of whichever installation they are: one lock for all. */
function alone<T>({ stateDir, profile }: ClientPaths, work: () => Promise<T>): Promise<T> {
  const root = profile === 'default' ? stateDir : dirname(dirname(stateDir));
  const folder = join(root, 'locks');
  ensureDir(folder);
  return withLock(join(folder, 'setup'), work, { timeoutMs: LOCK_TIMEOUT_MS });
}

function marksOf({ file, comment }: BlockPlace, name: string) {
  return { name, comment, file };
}

export function editedByHand({ file }: BlockView, name: string): AppError {
  return new AppError('conflict', `the block of oncall ${name} in ${file.path} was edited by hand`, {
    hint: 'move those lines out of the block to keep them, or add --force to lose them',
  });
}
