/** The broker of this profile, as it is seen from here: reached, trusted, right about the time, and of which version. */

import { gapTo } from '../../client/other-version.ts';
import { describeSkew, SKEW_MS } from '../../client/skew.ts';
import { formatDuration } from '../../protocol/durations.ts';
import { isAppError } from '../../protocol/errors.ts';
import { version } from '../../protocol/version.ts';
import { asAppError } from '../failure.ts';
import { type Check, failed, warned, well } from './check.ts';
import { meetAt, NotChecked } from './facts.ts';

/** A broker's key is rotated long before: who runs it may have forgotten. */
const SOON_MS = 14 * 86_400_000;
/** The broker takes a signature for this long, RFC 9421 `created` to `expires`; commands correct less by themselves, and more too. */
const MUCH_MS = 60_000;
const SET_CLOCK = 'sudo timedatectl set-ntp true   # on macOS: sudo sntp -sS time.apple.com';

export const BROKER: Check = {
  name: 'broker',
  reports: 'identity',
  async look({ config, identity }) {
    const { broker } = await config();
    const { tookMs } = await identity();
    return [well(`${broker} answers, in ${Math.max(1, Math.round(tookMs))} ms`)];
  },
};

/** Each address of a broker that has several: one that is down is not noticed by commands, which ask the next. */
export const ENDPOINTS: Check = {
  name: 'endpoints',
  async look({ config, endpoints, way, context }) {
    const [own, all] = [await config(), await endpoints()];
    if (all.length === 1) return [well(`the broker has one address: ${own.broker}`)];
    // Where none answers that is one finding, and not one for each.
    await way();
    return Promise.all(
      all.map(async (endpoint) => {
        try {
          const { tookMs } = await meetAt(endpoint, own, context);
          return well(`${endpoint.href} answers, in ${Math.max(1, Math.round(tookMs))} ms`);
        } catch (error) {
          const { message } = asAppError(error);
          return warned(`${endpoint.href}: ${message}`, `curl --insecure ${endpoint.href}healthz`);
        }
      }),
    );
  },
};

export const TLS: Check = {
  name: 'tls',
  reports: 'way',
  async look({ config, way, context }) {
    const { ca } = await config();
    const { host, proxy, certificate } = await way().catch((error: unknown) => {
      // That nobody answers is said where the broker is asked.
      if (isAppError(error, 'broker_unreachable'))
        throw new NotChecked('the broker was not reached', error.hint, error);
      throw error;
    });
    if (certificate === undefined) return [well(`none: ${host} is this machine, over plain http`)];
    const trust = ca === 'pinned' ? 'signed by the identity key that was pinned' : `trusted by ca: ${ca}`;
    const through = proxy === undefined ? '' : `, through the proxy ${proxy}`;
    const leftMs = certificate.validTo - context.now();
    if (leftMs < SOON_MS) {
      const ends = `${trust}, but the certificate of ${host} ends in ${formatDuration(Math.max(0, leftMs) / 1000)}`;
      return [warned(ends, "on the broker's host: oncall broker rotate tls")];
    }
    return [well(`${trust}${through}`)];
  },
};

export const CLOCK: Check = {
  name: 'clock',
  async look({ identity }) {
    const { skewMs } = await identity();
    const words = describeSkew(skewMs);
    if (words === undefined) return [well(`within ${formatDuration(SKEW_MS / 1000)} of the broker's`)];
    if (Math.abs(skewMs) < MUCH_MS) return [warned(`${words}: commands correct it by themselves`, SET_CLOCK)];
    return [failed(`${words}: what ends, and when, is shown wrong here`, SET_CLOCK)];
  },
};

export const VERSIONS: Check = {
  name: 'versions',
  async look({ identity }) {
    const theirs = (await identity()).identity.version;
    const gap = gapTo(theirs);
    if (gap !== undefined) return [warned(gap.words, gap.fix)];
    return [well(`the broker runs ${theirs}, this is ${version}`)];
  },
};
