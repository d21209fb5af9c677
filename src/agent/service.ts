/**
 * The job by which systemd (systemd.service(5), systemd.syntax(7)) or launchd (launchd.plist(5)) starts the agent at login and
 * again when it fails. It stays when there is nothing to keep: the next command then finds it warm, and what opens by itself is
 * seen at once.
 */
import { isAbsolute, join } from 'node:path';
import type { Environment } from '../client/paths.ts';
import { AppError } from '../protocol/errors.ts';
import { systemdWord } from '../protocol/systemd-word.ts';

export interface ServiceInput {
  readonly platform: string;
  readonly env: Environment;
  readonly profile: string;
  /** Command and arguments that start the built `agent.js`. */
  readonly program: readonly string[];
}

export interface ServiceFile {
  readonly path: string;
  readonly text: string;
  /** What makes it start, and what makes it end, as typed. */
  readonly start: string;
  readonly stop: string;
}

/** By which a file of ours is known. */
export const SIGN = 'Written by oncall agent install';

/** The variables that say where its files are; all others come from the session. */
const PLACES = ['ONCALL_HOME', 'XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME', 'TMPDIR'];

/** Throws AppError `usage` where there is neither, and `config_invalid` without a home folder. */
export function describeService(input: ServiceInput): ServiceFile {
  if (input.platform === 'linux') return systemdUnit(input);
  if (input.platform === 'darwin') return launchdJob(input);
  throw new AppError('usage', 'only systemd and launchd are known here', {
    hint: 'commands start the agent by themselves',
  });
}

function systemdUnit({ env, profile, program }: ServiceInput): ServiceFile {
  const name = profile === 'default' ? 'oncall-agent' : `oncall-agent-${profile}`;
  const config = absolute(env.XDG_CONFIG_HOME) ?? join(homeOf(env), '.config');
  const words = [...program, 'agent', '--profile', profile, '--stay'];
  const text = `# ${SIGN}; oncall agent install --remove takes it away.
[Unit]
Description=oncall agent: keeps on-call access alive (${profile})

[Service]
Type=exec
ExecStart=${words.map(systemdWord).join(' ')}
${placesOf(env)
  .map(([variable, value]) => `Environment=${systemdWord(`${variable}=${value}`)}\n`)
  .join('')}Restart=on-failure
RestartSec=10
UMask=0077
NoNewPrivileges=yes

[Install]
WantedBy=default.target
`;
  return {
    path: join(config, 'systemd/user', `${name}.service`),
    text,
    start: `systemctl --user daemon-reload && systemctl --user enable --now ${name}`,
    stop: `systemctl --user disable --now ${name}`,
  };
}

function launchdJob({ env, profile, program }: ServiceInput): ServiceFile {
  const label = profile === 'default' ? 'oncall.agent' : `oncall.agent.${profile}`;
  const path = join(homeOf(env), 'Library/LaunchAgents', `${label}.plist`);
  const words = [...program, 'agent', '--profile', profile, '--stay'];
  const places = placesOf(env);
  const variables = places.map(
    ([name, value]) => `    <key>${name}</key>\n    <string>${xml(value)}</string>\n`,
  );
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ${SIGN}; oncall agent install --remove takes it away. -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>${xml(label)}</string>
  <key>ProgramArguments</key>
  <array>
${words.map((word) => `    <string>${xml(word)}</string>\n`).join('')}  </array>
${places.length === 0 ? '' : `  <key>EnvironmentVariables</key>\n  <dict>\n${variables.join('')}  </dict>\n`}  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>Umask</key>
  <integer>63</integer>
  <key>ProcessType</key>
  <string>Background</string>
</dict>
</plist>
`;
  return {
    path,
    text,
    start: `launchctl bootstrap gui/$(id -u) ${path}`,
    stop: `launchctl bootout gui/$(id -u)/${label}`,
  };
}

function xml(text: string): string {
  refuseControls(text);
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function placesOf(env: Environment): [string, string][] {
  return PLACES.flatMap((name): [string, string][] => {
    const value = env[name];
    return value ? [[name, value]] : [];
  });
}

function homeOf(env: Environment): string {
  const home = absolute(env.HOME);
  if (home === undefined)
    throw new AppError('config_invalid', 'no home folder: HOME is not set', {
      hint: 'set HOME to a folder of your own',
    });
  return home;
}

function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}

function refuseControls(text: string): void {
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new AppError('config_invalid', 'a path holds characters that no service file can', {
      hint: 'set ONCALL_HOME to a folder without control characters',
    });
}
