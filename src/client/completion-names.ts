/** Names that shells complete, one a line in a file for each kind. */
import { join } from 'node:path';
import { isName } from '../protocol/names.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { type FileWrite, writeFiles } from './write-files.ts';

export const NAME_LISTS = ['resources', 'bundles', 'incidents', 'requests', 'grants'] as const;
export type NameList = (typeof NAME_LISTS)[number];

type Names = Partial<Readonly<Record<NameList, readonly string[]>>>;

/** What is no name is left out: shells read these files. */
export async function writeNames(paths: ClientPaths, names: Names): Promise<void> {
  await writeFiles(changedNames(paths, names));
}

/** Files that would say something else than they do. */
export function changedNames(paths: ClientPaths, names: Names): FileWrite[] {
  return Object.entries(names).flatMap(([list, values]) => {
    const lines = [...new Set(values)].filter(isName).sort();
    const data = lines.map((line) => `${line}\n`).join('');
    const path = join(paths.completeDir, list);
    return readSafeFile(path)?.toString('utf8') === data ? [] : [{ path, data, isCopy: true }];
  });
}
