/**
 * Asks a host's sshd what it thinks of a certificate, with the real `ssh`. The question needs public files only: RFC 4252
 * section 7 lets a client ask whether a key would do before it signs, and `ssh -v` says what the answer was.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { escapeForTerminal } from '../protocol/names.ts';
import { parseCertificate } from '../protocol/ssh-certificate.ts';
import { formatSshPublicKey } from '../protocol/ssh-wire.ts';

const CONNECT_SECONDS = 5;
const PROBE_MS = 10_000;
const MAX_OUTPUT = 65_536;

export interface ProbeTarget {
  host: string;
  port: number;
  login: string;
  knownHosts: readonly string[];
  certificate: string;
  signal: AbortSignal;
}

export interface ProbeAnswer {
  /** `unknown`: no answer to the question, whatever the reason. */
  answer: 'accepted' | 'refused' | 'unknown';
  /** How far it came before it ended. */
  stage: 'connect' | 'host key' | 'authentication' | 'command';
  /** The line of ssh's output that tells most, safe for a terminal. */
  detail: string;
}

/** Both never throw: what went wrong is the answer. */
export interface SshProbe {
  /** Whether sshd would take the certificate (or its bare key) for this login. */
  ask(target: ProbeTarget): Promise<ProbeAnswer>;
  /** Logs in and runs `true`. `privateKey`: in OpenSSH's format. */
  logIn(target: ProbeTarget & { privateKey: string }): Promise<ProbeAnswer>;
}

export function createSshProbe(): SshProbe {
  return {
    async ask(target) {
      const { output } = await runSsh(target, undefined);
      const stage = stageOf(output);
      if (/^debug1: Server accepts key: /m.test(output)) {
        return { answer: 'accepted', stage, detail: 'the host takes it' };
      }
      const refused = stage === 'authentication' && /^debug1: Offering public key: .*-CERT /m.test(output);
      return { answer: refused ? 'refused' : 'unknown', stage, detail: lastWords(output) };
    },
    async logIn({ privateKey, ...target }) {
      const { code, output } = await runSsh(target, privateKey);
      const stage = stageOf(output);
      if (code === 0) return { answer: 'accepted', stage, detail: 'logged in' };
      return {
        answer: stage === 'authentication' ? 'refused' : 'unknown',
        stage,
        detail: lastWords(output),
      };
    },
  };
}

function stageOf(output: string): ProbeAnswer['stage'] {
  if (/^Authenticated to /m.test(output)) return 'command';
  if (/: Permission denied \(/.test(output)) return 'authentication';
  return /^Host key verification failed/m.test(output) ? 'host key' : 'connect';
}

/** The last line that is no debug output says best what went wrong. */
function lastWords(output: string): string {
  const line = output.split(/\r?\n/).findLast((text) => /^(?!debug\d: |OpenSSH_|Authenticated )./.test(text));
  return escapeForTerminal(line ?? 'no answer').slice(0, 200);
}

async function runSsh(
  target: ProbeTarget,
  privateKey: string | undefined,
): Promise<{ code: number | null; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'oncall-ssh-'));
  try {
    const { subjectPublicKey } = parseCertificate(target.certificate);
    const files = {
      known_hosts: `${target.knownHosts.join('\n')}\n`,
      'id-cert.pub': `${target.certificate}\n`,
      'id.pub': `${formatSshPublicKey(subjectPublicKey)}\n`,
      ...(privateKey !== undefined && { id: privateKey }),
    };
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), content, { mode: 0o600, flag: 'wx' });
    }
    return await spawnSsh(sshArguments(target, folder), target.signal);
  } catch (error) {
    return { code: null, output: error instanceof Error ? error.message : 'ssh did not run' };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Nothing of the configuration, agent, keys or known hosts of whoever runs the broker takes part. */
function sshArguments({ host, port, login }: ProbeTarget, folder: string): string[] {
  const options = {
    BatchMode: 'yes',
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    IdentityFile: join(folder, 'id'),
    CertificateFile: join(folder, 'id-cert.pub'),
    PreferredAuthentications: 'publickey',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: join(folder, 'known_hosts'),
    GlobalKnownHostsFile: '/dev/null',
    UpdateHostKeys: 'no',
    ControlPath: 'none',
    ConnectTimeout: String(CONNECT_SECONDS),
    ConnectionAttempts: '1',
    Port: String(port),
    User: login,
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  return ['-v', '-n', '-T', '-F', '/dev/null', ...settings, '--', host, 'true'];
}

function spawnSsh(
  args: readonly string[],
  signal: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)]);
    const child = spawn('ssh', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      signal: limit,
      killSignal: 'SIGKILL',
    });
    let output = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(0, MAX_OUTPUT);
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}
