/**
 * The brokers behind the one name that signatures and certificates carry: where each is reached directly, which of them failed
 * last, and since when none answers. Learned from the broker, kept in a file that is only a copy: without it there is the name
 * itself. On the way of `status`, so nothing heavy is imported.
 */
import { formatInstant } from '../protocol/time.ts';
import type { ClientConfig } from './config.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { writeFiles } from './write-files.ts';

export interface EndpointFile {
  readonly version: 1;
  /** Base URLs, as the broker lists them. */
  readonly endpoints: readonly string[];
  /** When each of those that do not answer began not to. */
  readonly failing: Readonly<Record<string, string>>;
  /** Since when no call gets through; null while one does. */
  readonly unreachableSince: string | null;
}

export interface Endpoints {
  /** Best first, at least one: in the broker's order, those that failed a moment ago last. */
  inOrder(): readonly URL[];
  answered(endpoint: URL): void;
  failed(endpoint: URL): void;
  /** Whether a call got through in the end. Written down only where that is news. */
  settle(isReached: boolean): Promise<void>;
}

const NONE: EndpointFile = { version: 1, endpoints: [], failing: {}, unreachableSince: null };
const MOST = 10;
/** For so long whoever failed is asked last. */
const SHUN_MS = 60_000;

/** What this machine knows; nothing where there is no file, or a damaged one. Throws AppError `unsafe_file`. */
export function readEndpointFile(paths: Pick<ClientPaths, 'endpointsFile'>): EndpointFile {
  const bytes = readSafeFile(paths.endpointsFile);
  if (bytes === undefined) return NONE;
  try {
    const value = { ...NONE, ...(JSON.parse(bytes.toString('utf8')) as Partial<EndpointFile>) };
    const isOurs = value.version === 1 && Array.isArray(value.endpoints) && typeof value.failing === 'object';
    return isOurs ? value : NONE;
  } catch {
    return NONE;
  }
}

export function openEndpoints(
  config: Pick<ClientConfig, 'broker'>,
  paths: Pick<ClientPaths, 'endpointsFile'>,
  now: () => number,
): Endpoints {
  let written = readEndpointFile(paths);
  const failing = new Map(Object.entries(written.failing));

  return {
    inOrder() {
      // Another process may have learned of more meanwhile; an agent lives long.
      const { endpoints } = readEndpointFile(paths);
      // The name itself may lead to a load balancer: where the brokers are known one by one, it comes after them.
      const urls = [...new Set([...endpoints.filter((url) => isBeside(url, config)), config.broker])];
      const isShunned = (url: string) => now() - Date.parse(failing.get(url) ?? '') < SHUN_MS;
      return urls.toSorted((a, b) => Number(isShunned(a)) - Number(isShunned(b))).map((url) => new URL(url));
    },
    answered: ({ href }) => void failing.delete(href),
    failed: ({ href }) => void failing.set(href, formatInstant(now())),
    async settle(isReached) {
      const unreachableSince = isReached ? null : (written.unreachableSince ?? formatInstant(now()));
      const isNews =
        unreachableSince !== written.unreachableSince ||
        [...failing.keys()].sort().join() !== Object.keys(written.failing).sort().join();
      if (!isNews) return;
      const { endpoints } = readEndpointFile(paths);
      written = { version: 1, endpoints, failing: Object.fromEntries(failing), unreachableSince };
      await writeEndpointFile(paths, written);
    },
  };
}

/** What the broker says of where its brokers are. Written down only where that is news. */
export async function saveEndpoints(
  paths: Pick<ClientPaths, 'endpointsFile'>,
  config: Pick<ClientConfig, 'broker'>,
  endpoints: readonly string[],
): Promise<void> {
  const file = readEndpointFile(paths);
  const known = endpoints.filter((url) => isBeside(url, config)).slice(0, MOST);
  if (known.join() !== file.endpoints.join()) await writeEndpointFile(paths, { ...file, endpoints: known });
}

async function writeEndpointFile(
  { endpointsFile }: Pick<ClientPaths, 'endpointsFile'>,
  file: EndpointFile,
): Promise<void> {
  await writeFiles([{ path: endpointsFile, data: `${JSON.stringify(file)}\n`, isCopy: true }]);
}

/** Reached as the broker itself is: what comes from outside does not choose plain http. */
function isBeside(url: unknown, { broker }: Pick<ClientConfig, 'broker'>): url is string {
  return typeof url === 'string' && URL.canParse(url) && new URL(url).protocol === new URL(broker).protocol;
}
