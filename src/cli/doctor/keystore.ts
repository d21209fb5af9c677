import { describeKeys } from '../../client/device-key.ts';
import { isAppError } from '../../protocol/errors.ts';
import { type Check, failed, well } from './check.ts';
import { enrolAgain } from './configuration.ts';

/** Whether the keys of this device can be had: there, not locked, and the ones that were enrolled. */
export const KEYSTORE: Check = {
  name: 'keystore',
  reports: 'keys',
  async look({ place, config, keys }) {
    const { device } = await config();
    const again = enrolAgain((await place()).paths);
    const record = await keys().catch((error: unknown) => {
      // Its hint is to enrol again, which works only where nothing says that this is a device already.
      if (isAppError(error, 'not_enrolled')) return undefined;
      throw error;
    });
    if (record === undefined) {
      return [
        failed(
          `the ${device.keystore} does not hold the keys of this device`,
          `restore them from a backup; else, with a new invitation: ${again}`,
        ),
      ];
    }
    if (record === null) return [well('the ssh-agent holds the key; nothing is kept at rest')];
    const { keyId } = await describeKeys(record, device.sshAgentKey);
    if (keyId === device.keyId)
      return [well(`${device.keystore}: open, and holds the keys of ${device.name}`)];
    return [
      failed(
        `the ${device.keystore} holds the keys of another device`,
        `put back the configuration that belongs to these keys; else, with a new invitation: ${again}`,
      ),
    ];
  },
};
