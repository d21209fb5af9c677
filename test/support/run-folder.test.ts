import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createRunFolder, forgetProcess, noteProcess, removeRunFolder } from './run-folder.ts';

function startSleeper() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  return { pid: child.pid!, ended: once(child, 'exit') };
}

test('what a run noted ends with it, what it forgot does not', async () => {
  const folder = createRunFolder();
  const noted = startSleeper();
  const forgotten = startSleeper();
  noteProcess(folder, noted.pid);
  noteProcess(folder, forgotten.pid);
  forgetProcess(folder, forgotten.pid);
  removeRunFolder(folder);
  expect(await noted.ended).toEqual([null, 'SIGKILL']);
  expect(existsSync(folder)).toBe(false);
  process.kill(forgotten.pid, 'SIGTERM');
  expect(await forgotten.ended).toEqual([null, 'SIGTERM']);
});

test('a process that is started after the end of the run does not outlive it', async () => {
  const folder = createRunFolder();
  removeRunFolder(folder);
  removeRunFolder(folder);
  const late = startSleeper();
  expect(() => noteProcess(folder, late.pid)).toThrow();
  expect(await late.ended).toEqual([null, 'SIGKILL']);
});
