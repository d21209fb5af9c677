/** Signed calls about break-glass and what leads to it: apart, because most commands need none of them. */
import type {
  AskBreakGlass,
  BreakGlassOptions,
  BreakGlassState,
  RequestView,
  Rollout,
} from '../protocol/messages.ts';
import type { BrokerClient, CallOptions, PostOptions } from './broker.ts';

export const askBreakGlass = (broker: BrokerClient, ask: AskBreakGlass, options?: PostOptions) =>
  broker.post<RequestView>('/v1/break-glass', ask, options);
/** Where one may break the glass now. */
export const listBreakGlass = (broker: BrokerClient, options?: CallOptions) =>
  broker.get<BreakGlassOptions>('/v1/break-glass', options);
/** All of its packs are taken back, and its taint goes once its reviews are closed. */
export const rotateBreakGlass = (broker: BrokerClient, resource: string) =>
  broker.post<BreakGlassState>('/v1/break-glass/rotate', { resource });
/** How far each resource is in the order of phases; with the right to read the log. */
export const getRollout = (broker: BrokerClient) => broker.get<Rollout>('/v1/rollout');
