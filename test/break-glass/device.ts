// A device of a test's own; packs come from support/glass-packs.ts.
import { type TestContext, testContext } from '../client/fixture.ts';
import {
  createGlassDevice,
  type GlassAuthority,
  type GlassDeviceOptions,
  type GlassDevice as SupportDevice,
} from '../support/glass-packs.ts';
import { freePort } from '../support/temp.ts';

export * from '../support/glass-packs.ts';
export type GlassDevice = SupportDevice<TestContext>;

/** The broker's port is one that nobody listens at, unless `trust` says where it is. */
export async function glassDevice(
  authority: GlassAuthority,
  { now = Date.now, ...options }: GlassDeviceOptions & { now?: () => number } = {},
): Promise<GlassDevice> {
  const broker = `http://127.0.0.1:${await freePort()}/`;
  return createGlassDevice(testContext({ now }), authority, { broker, ...options });
}
