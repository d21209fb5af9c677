/** `oncall broker target`: what a target's admin must do, and whether it is done. */
import type { Resource } from '../catalogue/types.ts';
import { type BreakGlassIssuer, NO_OFFLINE_PATH } from '../issuers/break-glass.ts';
import { hostGuide } from '../issuers/host-guide.ts';
import { missing } from '../issuers/requirement.ts';
import { AppError } from '../protocol/errors.ts';
import { type Host, type Result, withStore } from './host.ts';
import { createSecretReader, requireRules } from './installation.ts';
import { createBrokerIssuers, loadIssuerKeys } from './issuers.ts';
import { loadBrokerKeys } from './keys.ts';

export async function brokerTarget(
  options: { directory: string; resource: string; check: boolean },
  host: Host,
): Promise<Result> {
  return withStore(options.directory, host, async (store, config) => {
    const { catalogue } = await requireRules(config);
    const resource = catalogue.resources.get(options.resource);
    if (!resource) {
      throw new AppError('not_found', `there is no resource '${options.resource}'`, {
        hint: `resources: ${[...catalogue.resources.keys()].join(', ')}`,
      });
    }
    const keys = await loadBrokerKeys(config.keysDirectory);
    const resolveSecret = createSecretReader(catalogue.directory, host.env);
    const issuerKeys = await loadIssuerKeys(keys, config);
    const made = createBrokerIssuers({
      config,
      keys,
      issuerKeys,
      store,
      resolveSecret,
      catalogueDirectory: catalogue.directory,
    });
    try {
      const issuer = made.issuers.find(({ kind }) => kind === resource.target.kind);
      if (!issuer) throw new AppError('internal', `no issuer of kind ${resource.target.kind}`);
      const breakGlass = resource.breakGlass?.offline
        ? (made.breakGlass.find(({ kind }) => kind === issuer.kind) ?? noOfflinePath(resource))
        : undefined;
      if (!options.check) {
        const host = hostGuide(resource, {
          publicUrl: config.publicUrl.href,
          identityKey: keys.identity.privateKey,
          identityCertificate: issuerKeys.identityCertificate,
        });
        const usual = issuer.guide(resource).steps;
        // The last of the usual ones is to prove all of it.
        const steps = [
          ...usual.slice(0, -1),
          ...(breakGlass?.steps(resource) ?? []),
          ...usual.slice(-1),
          ...host,
        ];
        return {
          data: { resource: resource.id, kind: issuer.kind, steps },
          lines: steps.flatMap(({ title, where, text }) => [
            [
              { text: `# ${title}`, style: 'bold' as const },
              { text: `   (${where})`, style: 'dim' as const },
            ],
            ...text.split('\n'),
            '',
          ]),
        };
      }
      const requirements = (
        await Promise.all([issuer, breakGlass].map((each) => each?.check(resource, host.signal) ?? []))
      ).flat();
      const missing = requirements.filter(({ ok }) => !ok).length;
      return {
        data: { resource: resource.id, ok: missing === 0, requirements },
        lines: requirements.flatMap(({ ok, name, detail, fix }) => [
          [
            ok ? { text: 'ok     ', style: 'green' as const } : { text: 'missing', style: 'red' as const },
            ` ${name}: ${detail}`,
          ],
          ...(fix === undefined ? [] : [`        ${fix}`]),
        ]),
        ...(missing > 0 && { failure: new AppError('check_failed', `${resource.id}: ${missing} missing`) }),
      };
    } finally {
      await made.close();
    }
  });
}

/** Said where somebody looks, before they count on it at night. */
function noOfflinePath({ id, target }: Resource): Pick<BreakGlassIssuer, 'steps' | 'check'> {
  const why = NO_OFFLINE_PATH[target.kind] ?? 'nothing there takes a certificate';
  const fix = `breakGlass: { offline: false }   # at ${id}, in the catalogue: break-glass with the broker alone`;
  return {
    steps: () => [{ title: 'break-glass: there is no way in without the broker', where: why, text: fix }],
    check: async () => [missing('break-glass without the broker', why, fix)],
  };
}
