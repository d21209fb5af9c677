/**
 * A word on the desktop, where there is one: notify-send (libnotify) or osascript. What it says may come from outside, so it is
 * an argument and never part of a command. Nobody waits for it, and that it failed is nobody's trouble.
 */
import { execFile } from 'node:child_process';
import { platform } from 'node:os';
import type { Environment } from '../client/paths.ts';
import { escapeForTerminal } from '../protocol/names.ts';

export type Notify = (title: string, text: string) => void;

const PATIENCE_MS = 5_000;
const LONGEST = 300;
const APPLE_SCRIPT = [
  'on run argv',
  'display notification (item 2 of argv) with title (item 1 of argv)',
  'end run',
];

export function desktopNotify(env: Environment): Notify {
  return (title, text) => {
    const words = [`oncall: ${title}`, text].map((part) => escapeForTerminal(part).slice(0, LONGEST));
    const [program, args] = commandFor(env, words);
    if (program === undefined) return;
    execFile(program, args, { env: { ...env }, timeout: PATIENCE_MS }, () => {});
  };
}

function commandFor(env: Environment, words: string[]): [string | undefined, string[]] {
  if (platform() === 'darwin')
    return ['osascript', [...APPLE_SCRIPT.flatMap((line) => ['-e', line]), ...words]];
  if (!env.DBUS_SESSION_BUS_ADDRESS && !env.DISPLAY && !env.WAYLAND_DISPLAY) return [undefined, []];
  // libnotify shows the text as markup: no reader of it may make tags.
  const [title = '', text = ''] = words;
  return ['notify-send', ['--app-name=oncall', '--', title, withoutMarkup(text)]];
}

function withoutMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
