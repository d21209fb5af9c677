import { Type } from '@sinclair/typebox';
import type { Modules } from '../modules.ts';
import type { createEndpoints, EndpointDeps } from './endpoint.ts';

/** What every group of routes is given. */
export type RouteContext = EndpointDeps & Modules & ReturnType<typeof createEndpoints>;

/** Most rows a list shows; beyond it, filters narrow it. */
export const LIST = 1000;

/** The body of a change that needs no words. */
export const Empty = Type.Object({}, { additionalProperties: false });
