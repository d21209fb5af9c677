/**
 * kubectl joins the files that KUBECONFIG names, and the first that has a context of some name wins. Ours comes after the
 * person's own, which stays what it was and where `kubectl config` writes. It stands in the shell's start-up file, because a
 * kubeconfig is rewritten by kubectl and holds no marked lines for long.
 */
import { execFile } from 'node:child_process';
import { delimiter } from 'node:path';
import { promisify } from 'node:util';
import type { Environment } from '../../client/paths.ts';
import { EXEC_VERSIONS, type ExecVersion } from '../../client/targets/exec-credential.ts';
import { KUBECTL_FILES } from '../../client/targets/kubectl-files.ts';
import { toolFile } from '../../client/tool-files.ts';
import { AppError } from '../../protocol/errors.ts';
import { type Shell, shellOf, startFile } from './shells.ts';
import type { SetupTool } from './tool.ts';

const ASK_MS = 5_000;
/** The first kubectl that knows the newer version of plugins. */
const NEWER_FROM = 22;

export const KUBECTL_TOOL: SetupTool = {
  name: 'kubectl',
  summary: 'kubectl and all else that reads a kubeconfig: contexts by the name of the resource',
  place: (where) => ({ file: startFile(where), comment: '#', at: 'end', mode: 0o644 }),
  async lines({ env }, where) {
    const file = toolFile(where.paths, KUBECTL_FILES[await pluginVersion(env)]);
    return LINES[shellOf(where)](requirePlain(file));
  },
  usage: 'kubectl --context RESOURCE get pods   # in a new shell',
};

/** What the kubectl that is found here understands; where there is none, what those of today do. */
async function pluginVersion(env: Environment): Promise<ExecVersion> {
  const [newer, older] = EXEC_VERSIONS;
  try {
    const args = ['version', '--client', '--output=json'];
    const { stdout } = await promisify(execFile)('kubectl', args, { env: { ...env }, timeout: ASK_MS });
    const { clientVersion } = JSON.parse(stdout) as { clientVersion?: { minor?: string } };
    const minor = Number.parseInt(clientVersion?.minor ?? '', 10);
    return minor < NEWER_FROM ? older : newer;
  } catch {
    return newer;
  }
}

/** Once, however many shells are started from within another. */
function posixLines(file: string): string[] {
  const quoted = `'${file.replaceAll("'", "'\\''")}'`;
  return [
    `case ":\${KUBECONFIG-}:" in`,
    `  *:${quoted}:*) ;;`,
    `  *) export KUBECONFIG="\${KUBECONFIG:-$HOME/.kube/config}":${quoted} ;;`,
    'esac',
  ];
}

function fishLines(file: string): string[] {
  const quoted = `'${file.replace(/[\\']/g, '\\$&')}'`;
  return [
    `if not contains -- ${quoted} (string split : -- "$KUBECONFIG")`,
    '  test -n "$KUBECONFIG"; or set -gx KUBECONFIG "$HOME/.kube/config"',
    `  set -gx KUBECONFIG "$KUBECONFIG":${quoted}`,
    'end',
  ];
}

const LINES: Readonly<Record<Shell, (file: string) => string[]>> = {
  bash: posixLines,
  zsh: posixLines,
  fish: fishLines,
};

function requirePlain(path: string): string {
  if (!path.includes(delimiter) && !/[\u0000-\u001f\u007f]/.test(path)) return path;
  throw new AppError('unsafe_file', `kubectl cannot be told of a file under ${path}`, {
    hint: 'set ONCALL_HOME to a folder without colons and control characters',
  });
}
