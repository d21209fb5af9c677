// Where the demo's people hear of break-glass: a chat and a webhook, as strict as the real ones.
import { randomBytes } from 'node:crypto';
import { startSlackReceiver, startWebhookReceiver } from '../support/receivers.ts';
import { atEnd } from './stage.ts';

export interface Listener {
  name: string;
  /** What came so far. */
  posts(): string[];
}

export interface Listeners {
  all: readonly Listener[];
  /** By the name of their file. */
  secrets: Readonly<Record<string, string>>;
  webhookUrl: string;
}

export async function startListeners(): Promise<Listeners> {
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const [chat, hook] = [await startSlackReceiver(), await startWebhookReceiver({ secret })];
  for (const { close } of [chat, hook]) atEnd(close);
  const bodies = ({ accepted }: typeof chat) => accepted.map(({ body }) => body);
  return {
    all: [
      { name: 'the chat', posts: () => bodies(chat) },
      { name: 'the webhook', posts: () => bodies(hook) },
    ],
    secrets: { chat: chat.url, hook: secret },
    webhookUrl: hook.url,
  };
}
