// What the fake API server keeps and says.
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    creationTimestamp: string;
    deletionTimestamp?: string;
    finalizers?: string[];
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

export interface SeenCall {
  method: string;
  path: string;
  query: URLSearchParams;
  user: string | undefined;
  userAgent: string | undefined;
}

export interface Answered {
  status: number;
  body: object | string;
}

/** An answer that is an error, as the API server writes it. */
export class Failure extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: object;

  constructor(status: number, reason: string, message: string, details: object = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.details = details;
  }
}
