/** Which logins a cluster has: accounts in their namespace, and bindings where roles hold, even of accounts that are gone. */
import type { Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { type Found, SURVEY_LIMIT, type Survey } from './issuer.ts';
import { type Json, type KubernetesApi, kubernetesSettings, member } from './kubernetes-api.ts';
import {
  accountsPath,
  bindingsPath,
  handleOfAccount,
  handleOfBinding,
  MANAGED_BY,
} from './kubernetes-names.ts';

const PAGE = 250;
const NOTE_LENGTH = 500;

export async function surveyLogins(
  api: KubernetesApi,
  resource: Resource,
  installation: string,
  signal: AbortSignal,
): Promise<Survey> {
  const { accounts, roles } = kubernetesSettings(resource);
  const found = new Map<string, Found>();
  let isComplete = true;

  async function collect(path: string, handleOf: (name: string) => string | undefined): Promise<void> {
    for await (const item of list(api, resource, path, signal)) {
      const metadata = member(item, 'metadata');
      const annotations = member(metadata, 'annotations');
      const made = annotations['oncall/installation'];
      const handle = handleOf(String(metadata.name));
      if (handle === undefined || (made !== undefined && made !== installation)) continue;
      if (!found.has(handle) && found.size === SURVEY_LIMIT) {
        isComplete = false;
        return;
      }
      found.set(handle, {
        handle,
        isOurs: made !== undefined,
        expiresAtMs: undefined,
        note: noteOf(annotations),
      });
    }
  }

  await collect(`${accountsPath(accounts)}?limit=${PAGE}`, (name) => handleOfAccount(accounts, name));
  const ours = new URLSearchParams({ labelSelector: MANAGED_BY, limit: String(PAGE) });
  for (const path of new Set([...roles.values()].map(bindingsPath))) {
    await collect(`${path}?${ours}`, (name) => handleOfBinding(accounts, name));
  }
  return { persists: true, found: [...found.values()], isComplete };
}

/** The items of a list, page by page (API Conventions, "Retrieving large results sets in chunks"). */
async function* list(
  api: KubernetesApi,
  resource: Resource,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Json> {
  let next = '';
  do {
    const more = next === '' ? '' : `&continue=${encodeURIComponent(next)}`;
    const answer = await api.call(resource, { method: 'GET', path: `${path}${more}`, signal });
    if (answer.kind !== 'done' || !Array.isArray(answer.body.items)) {
      throw new AppError('target_refused', `${resource.id} gives no list of its logins`);
    }
    yield* answer.body.items as Json[];
    next = String(member(answer.body, 'metadata').continue ?? '');
  } while (next !== '');
}

function noteOf(annotations: Json): string {
  const words = ['grant', 'user', 'role', 'incident'].map(
    (key) => `${key} ${annotations[`oncall/${key}`] ?? '-'}`,
  );
  return escapeForTerminal(words.join(', ')).slice(0, NOTE_LENGTH);
}
