/**
 * The AWS SDK's clients for STS and IAM, which are no part of this package: whoever has an AWS account installs them. The line
 * to type is in the error.
 */
import type { IAMClient } from '@aws-sdk/client-iam';
import type { STSClient } from '@aws-sdk/client-sts';
import type { AwsSettings } from '../catalogue/targets/aws.ts';
import type { Resource, SecretRef } from '../catalogue/types.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import { awsSettings } from './aws-names.ts';

export interface AwsSdk {
  readonly sts: typeof import('@aws-sdk/client-sts');
  readonly iam: typeof import('@aws-sdk/client-iam');
}

export interface AwsAccess {
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** Loads the SDK; its modules as `import()` finds them unless given. */
  loadSdk?: () => Promise<AwsSdk>;
}

/** The versions that the tests run with: later ones want a later Node. */
export const INSTALL =
  'npm install --global --ignore-scripts @aws-sdk/client-sts@3.1174.0 @aws-sdk/client-iam@3.1169.0';
const CONNECT_MS = 3_000;
const ANSWER_MS = 7_000;
const ATTEMPTS = 3;
/** Names of errors after which the same call may go well. Beside them, what the server itself calls its own fault. */
const PASSING =
  /Throttl|RequestLimitExceeded|TooManyRequests|SlowDown|ServiceUnavailable|ServiceFailure|Timeout/;

export interface AwsCall {
  readonly sdk: AwsSdk;
  readonly sts: STSClient;
  readonly iam: IAMClient;
}

export interface AwsTargets {
  /**
   * Runs calls against the account of a resource. Throws AppError `target_unreachable` (no answer, throttled, aborted) and
   * `target_refused` (all else that AWS says, or the SDK is missing).
   */
  use<T>(resource: Resource, signal: AbortSignal, work: (call: AwsCall) => Promise<T>): Promise<T>;
  close(): void;
}

export function createAwsTargets({ resolveSecret, loadSdk = importSdk }: AwsAccess): AwsTargets {
  /** By account; `secret` tells whether the broker's key was changed since. */
  const open = new Map<string, { secret: string | undefined; call: AwsCall }>();

  async function connect(settings: AwsSettings): Promise<AwsCall> {
    const { region, endpoints, broker } = settings;
    const sdk = await loadSdk().catch(notInstalled);
    const secret = broker && (await resolveSecret(broker.secretAccessKey));
    const key = JSON.stringify([region, endpoints, broker?.accessKeyId]);
    const known = open.get(key);
    if (known?.secret === secret && known) return known.call;
    destroy(known?.call);
    const options = {
      region,
      maxAttempts: ATTEMPTS,
      requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: ANSWER_MS },
      ...(broker &&
        secret !== undefined && {
          credentials: { accessKeyId: broker.accessKeyId, secretAccessKey: secret },
        }),
    };
    const at = (endpoint: string | undefined) => (endpoint === undefined ? {} : { endpoint });
    const call = {
      sdk,
      sts: new sdk.sts.STSClient({ ...options, ...at(endpoints.sts) }),
      iam: new sdk.iam.IAMClient({ ...options, region: iamRegion(region), ...at(endpoints.iam) }),
    };
    open.set(key, { secret, call });
    return call;
  }

  return {
    async use(resource, signal, work) {
      try {
        signal.throwIfAborted();
        return await work(await connect(awsSettings(resource)));
      } catch (error) {
        throw explain(error, resource, signal);
      }
    },
    close() {
      for (const { call } of open.values()) destroy(call);
      open.clear();
    },
  };
}

/** IAM is one for all regions of a partition, and its calls are signed for this one (AWS General Reference, "IAM endpoints"). */
function iamRegion(region: string): string {
  if (region.startsWith('cn-')) return 'cn-north-1';
  return region.startsWith('us-gov-') ? 'us-gov-west-1' : 'us-east-1';
}

async function importSdk(): Promise<AwsSdk> {
  const [sts, iam] = await Promise.all([import('@aws-sdk/client-sts'), import('@aws-sdk/client-iam')]);
  return { sts, iam };
}

function notInstalled(cause: unknown): never {
  throw new AppError('target_refused', 'the AWS SDK is not installed beside the broker', {
    hint: INSTALL,
    cause,
  });
}

function destroy(call: AwsCall | undefined): void {
  call?.sts.destroy();
  call?.iam.destroy();
}

/** The name of what AWS said, such as `AccessDenied` or `NoSuchEntity`; undefined where it said nothing. */
export function awsErrorName(error: unknown): string | undefined {
  if (!(error instanceof Error) || statusOf(error) === undefined) return undefined;
  const name = error.name.replace(/(Exception|Error)$/, '');
  return /^\w{1,64}$/.test(name) ? name : 'Unknown';
}

/** The SDK says of each failure what it tried; only an answer has a status. */
function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

function explain(error: unknown, { id }: Resource, signal: AbortSignal): AppError {
  if (isAppError(error)) return error;
  const said = awsErrorName(error);
  // The SDK's errors carry the whole answer, which may hold a secret: the cause, which is logged, gets the words alone.
  const cause = error instanceof Error ? new Error(`${error.name}: ${error.message}`) : undefined;
  if (said === undefined && error instanceof Error && error.name === 'CredentialsProviderError') {
    return new AppError('target_refused', 'the broker has no AWS credentials', {
      hint: `ask your administrators to run oncall broker target ${id} --check`,
      cause,
    });
  }
  if (signal.aborted || said === undefined || (statusOf(error) ?? 0) >= 500 || PASSING.test(said)) {
    const what = said === undefined ? 'does not answer' : `answers ${said}`;
    return new AppError('target_unreachable', `AWS ${what}`, { cause });
  }
  return new AppError('target_refused', `AWS refuses: ${said}`, {
    hint: `ask your administrators to run oncall broker target ${id} --check`,
    cause,
  });
}
