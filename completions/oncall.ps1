# PowerShell completion of oncall. Made from the commands themselves when the package is built: do not edit.
# Not run in CI.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out, and so is a description that could steer the terminal.

Register-ArgumentCompleter -Native -CommandName @('oncall', 'oncall.cmd', 'oncall.ps1') -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $tab = [string][char]9
    $children = @{
        '/request' = 'request'
        '/break-glass' = 'break-glass'
        '/run' = 'run'
        '/exec' = 'run'
        '/connect' = 'connect'
        '/status' = 'status'
        '/ls' = 'status'
        '/held' = 'held'
        '/grants' = 'grants'
        '/renew' = 'renew'
        '/release' = 'release'
        '/credential' = 'credential'
        '/console' = 'console'
        '/resources' = 'resources'
        '/explain' = 'explain'
        '/wait' = 'wait'
        '/cancel' = 'cancel'
        '/approvals' = 'approvals'
        '/approve' = 'approve'
        '/deny' = 'deny'
        '/revoke' = 'revoke'
        '/incident' = 'incident'
        '/reviews' = 'reviews'
        '/enroll' = 'enroll'
        '/setup' = 'setup'
        '/completion' = 'completion'
        '/whoami' = 'whoami'
        '/doctor' = 'doctor'
        '/devices' = 'devices'
        '/agent' = 'agent'
        '/probe' = 'probe'
        '/audit' = 'audit'
        '/drill' = 'drill'
        '/rollout' = 'rollout'
        '/host' = 'host'
        '/broker' = 'broker'
        'break-glass/list' = 'break-glass list'
        'break-glass/rotate' = 'break-glass rotate'
        'incident/declare' = 'incident declare'
        'incident/list' = 'incident list'
        'incident/show' = 'incident show'
        'incident/resolve' = 'incident resolve'
        'incident/reopen' = 'incident reopen'
        'reviews/list' = 'reviews list'
        'reviews/show' = 'reviews show'
        'reviews/close' = 'reviews close'
        'devices/list' = 'devices list'
        'devices/revoke' = 'devices revoke'
        'devices/add' = 'devices add'
        'agent/status' = 'agent status'
        'agent/stop' = 'agent stop'
        'agent/logs' = 'agent logs'
        'agent/install' = 'agent install'
        'audit/list' = 'audit list'
        'audit/export' = 'audit export'
        'audit/who' = 'audit who'
        'audit/verify' = 'audit verify'
        'host/init' = 'host init'
        'host/run' = 'host run'
        'host/status' = 'host status'
        'broker/init' = 'broker init'
        'broker/check' = 'broker check'
        'broker/serve' = 'broker serve'
        'broker/unit' = 'broker unit'
        'broker/invite' = 'broker invite'
        'broker/target' = 'broker target'
        'broker/host' = 'broker host'
        'broker/migrate' = 'broker migrate'
        'broker/backup' = 'broker backup'
        'broker/restore' = 'broker restore'
        'broker/rotate' = 'broker rotate'
        'broker host/add' = 'broker host add'
        'broker host/list' = 'broker host list'
        'broker host/remove' = 'broker host remove'
        'broker rotate/tls' = 'broker rotate tls'
        'broker rotate/tokens' = 'broker rotate tokens'
    }
    $values = @{
        'request -i' = @('=', '@incidents')
        'request --incident' = @('=', '@incidents')
        'break-glass -i' = @('=', '@incidents')
        'break-glass --incident' = @('=', '@incidents')
        'run -i' = @('=', '@incidents')
        'run --incident' = @('=', '@incidents')
        'connect -i' = @('=', '@incidents')
        'connect --incident' = @('=', '@incidents')
        'explain -i' = @('=', '@incidents')
        'explain --incident' = @('=', '@incidents')
        'revoke --incident' = @('=', '@incidents')
        'request -r' = @('=')
        'request --reason' = @('=')
        'request -d' = @('=')
        'request --for' = @('=')
        'request --timeout' = @('=')
        'request --key' = @('=')
        'break-glass -r' = @('=')
        'break-glass --reason' = @('=')
        'break-glass -d' = @('=')
        'break-glass --for' = @('=')
        'break-glass --timeout' = @('=')
        'run -r' = @('=')
        'run --reason' = @('=')
        'run -d' = @('=')
        'run --for' = @('=')
        'run --timeout' = @('=')
        'connect -r' = @('=')
        'connect --reason' = @('=')
        'connect -d' = @('=')
        'connect --for' = @('=')
        'connect --timeout' = @('=')
        'status --check' = @('=')
        'status --expires-in' = @('=')
        'explain -d' = @('=')
        'explain --for' = @('=')
        'wait --timeout' = @('=')
        'approve -d' = @('=')
        'approve --for' = @('=')
        'deny -r' = @('=')
        'deny --reason' = @('=')
        'revoke --user' = @('=')
        'revoke -r' = @('=')
        'revoke --reason' = @('=')
        'incident declare --title' = @('=')
        'reviews close --note' = @('=')
        'enroll --name' = @('=')
        'enroll --agent-key' = @('=')
        'devices list --user' = @('=')
        'probe --timeout' = @('=')
        'audit list -n' = @('=')
        'audit list --limit' = @('=')
        'audit who --at' = @('=')
        'broker init --admin' = @('=')
        'broker init --public-url' = @('=')
        'broker init --listen' = @('=')
        'broker unit --user' = @('=')
        'broker invite -d' = @('=')
        'broker invite --for' = @('=')
        'broker host add --key' = @('=')
        'credential --format' = @('=', 'env', 'json', 'pgpass', 'ssh', 'mycnf', 'kubectl', 'aws-process', 'pem', 'header', 'token')
        'explain -r' = @('?')
        'explain --reason' = @('?')
        'revoke --resource' = @('=', '@resources')
        'host init --resource' = @('=', '@resources')
        'incident declare --service' = @('=', '@services')
        'incident declare --priority' = @('=', 'P1', 'P2', 'P3', 'P4', 'P5')
        'reviews close --outcome' = @('=', 'justified', 'drill', 'misuse')
        'enroll --keystore' = @('=', 'keychain', 'ssh-agent', 'file')
        'enroll --cache' = @('=', 'keychain', 'file')
        'enroll --ca' = @('=', 'pinned', 'system', '/f')
        'setup --shell' = @('=', 'bash', 'zsh', 'fish', 'powershell')
        'audit export -f' = @('=', '/f')
        'audit export --file' = @('=', '/f')
        'audit who --file' = @('=', '/f')
        'audit verify --checkpoint' = @('=', '/f')
        'host init --config' = @('=', '/f')
        'host run --config' = @('=', '/f')
        'host status --config' = @('=', '/f')
        'audit verify --receipts' = @('=', '/d')
        'broker init --dir' = @('=', '/d')
        'broker check --dir' = @('=', '/d')
        'broker serve --dir' = @('=', '/d')
        'broker unit --dir' = @('=', '/d')
        'broker invite --dir' = @('=', '/d')
        'broker target --dir' = @('=', '/d')
        'broker host add --dir' = @('=', '/d')
        'broker host list --dir' = @('=', '/d')
        'broker host remove --dir' = @('=', '/d')
        'broker migrate --dir' = @('=', '/d')
        'broker backup --dir' = @('=', '/d')
        'broker restore --dir' = @('=', '/d')
        'broker rotate tls --dir' = @('=', '/d')
        'broker rotate tokens --dir' = @('=', '/d')
        '* -o' = @('=', 'table', 'json', 'ndjson')
        '* --output' = @('=', 'table', 'json', 'ndjson')
        '* --profile' = @('=', '@profiles')
    }
    $arguments = @{
        'request *' = @('@resources', '@roles', '@bundles')
        'break-glass *' = @('@resources', '@roles', '@bundles')
        'run *' = @('@resources', '@roles', '@bundles')
        'connect 0' = @('@resources', '@roles', '@bundles')
        'break-glass rotate 0' = @('@resources')
        'broker target 0' = @('@resources')
        'held *' = @('@held', '@resources', '@roles')
        'console 0' = @('@held', '@resources', '@roles')
        'renew *' = @('@held')
        'credential 0' = @('@held')
        'release *' = @('@held', '@grants')
        'explain 0' = @('@resources', '@roles', '@requests')
        'wait 0' = @('@requests')
        'cancel 0' = @('@requests')
        'approve 0' = @('@approvals')
        'deny 0' = @('@approvals')
        'revoke *' = @('@grants')
        'incident show 0' = @('@incidents')
        'incident resolve 0' = @('@incidents')
        'reviews close 0' = @('@reviews')
        'setup 0' = @(('ssh' + $tab + 'ssh, scp and sftp: hosts by name'), ('psql' + $tab + 'psql and all else on libpq: services by the name of the resource'), ('mariadb' + $tab + 'mariadb, mysql and their dumps: option groups by the name of the resource'), ('redis' + $tab + 'bash, zsh and fish: oncall-redis, which is redis-cli at a resource'), ('kubectl' + $tab + 'kubectl and all else that reads a kubeconfig: contexts by the name of the resource'), ('aws' + $tab + 'aws and all else on an AWS SDK: profiles by the name of the resource'), ('prompt' + $tab + 'bash, zsh and fish: what you hold, in the prompt'), ('completion' + $tab + 'bash, zsh, fish and PowerShell: commands, options and names on Tab'))
        'completion 0' = @('bash', 'zsh', 'fish', 'powershell')
        'audit verify 0' = @('/f')
        'broker backup 0' = @('/f')
        'broker restore 0' = @('/f')
        'drill 0' = @('@resources', '@roles')
        'broker init 0' = @('/d')
        'broker check 0' = @('/d')
        'broker serve 0' = @('/d')
    }
    $commands = @{
        '' = @(('request' + $tab + 'ask for access to one or more resources'), ('break-glass' + $tab + 'open at once what cannot wait: everybody hears of it, and it is reviewed'), ('run' + $tab + 'run a command with access to its targets'), ('exec' + $tab + 'run a command with access to its targets'), ('connect' + $tab + 'open the client that fits a resource'), ('status' + $tab + 'what you hold right now (reads a local file)'), ('ls' + $tab + 'what you hold right now (reads a local file)'), ('held' + $tab + 'whether access is at hand here, else how to get it (reads a local file)'), ('grants' + $tab + 'your grants at the broker'), ('renew' + $tab + 'refresh a credential and extend its session window'), ('release' + $tab + 'give access back before it ends'), ('credential' + $tab + 'print a credential for another tool'), ('console' + $tab + 'open a target''s own web console'), ('resources' + $tab + 'what can be asked for'), ('explain' + $tab + 'why a request is granted, asked or denied'), ('wait' + $tab + 'wait for the answer to a request'), ('cancel' + $tab + 'withdraw a pending request'), ('approvals' + $tab + 'requests that wait for your answer'), ('approve' + $tab + 'approve a request'), ('deny' + $tab + 'deny a request'), ('revoke' + $tab + 'end other people''s access'), ('incident' + $tab + 'declare, list, show, resolve and reopen incidents'), ('reviews' + $tab + 'look at what was opened past the usual yes'), ('enroll' + $tab + 'register this device with an invitation'), ('setup' + $tab + 'make ssh, psql and other plain tools find what you hold'), ('completion' + $tab + 'print what makes a shell complete commands and names'), ('whoami' + $tab + 'who you are to the broker, and your shifts'), ('doctor' + $tab + 'what is wrong on this machine, and what to type about it'), ('devices' + $tab + 'list, revoke and add your devices'), ('agent' + $tab + 'keep what you hold alive in the background (started by commands)'), ('probe' + $tab + 'whether the broker does its work, for a monitor'), ('audit' + $tab + 'list, search, export and verify the audit log'), ('drill' + $tab + 'break-glass at a canary, timed, as if there were no broker'), ('rollout' + $tab + 'the phase of each resource, and what is missing for the next one'), ('host' + $tab + 'at a target: tell the broker who logs in, end what is over'), ('broker' + $tab + 'set up and run a broker'))
        'break-glass' = @(('list' + $tab + 'what break-glass left at the resources, and what has to be cleaned up'), ('rotate' + $tab + 'a resource is cleaned up: take back every pack from before'))
        'incident' = @(('declare' + $tab + 'open an incident'), ('list' + $tab + 'open incidents'), ('show' + $tab + 'one incident'), ('resolve' + $tab + 'close an incident'), ('reopen' + $tab + 'open a closed incident again'))
        'reviews' = @(('list' + $tab + 'open reviews that concern you'), ('show' + $tab + 'what one of them is about'), ('close' + $tab + 'say what it was'))
        'devices' = @(('list' + $tab + 'your devices'), ('revoke' + $tab + 'revoke a device'), ('add' + $tab + 'print an invitation for your next device'))
        'agent' = @(('status' + $tab + 'whether it runs, and what it keeps'), ('stop' + $tab + 'end it; what is held stays'), ('logs' + $tab + 'what it has done'), ('install' + $tab + 'write a systemd or launchd job that starts it at login'))
        'audit' = @(('list' + $tab + 'the newest entries'), ('export' + $tab + 'write the log to a file'), ('who' + $tab + 'who acted under a name at a target'), ('verify' + $tab + 'verify an exported log, offline'))
        'host' = @(('init' + $tab + 'make a key, and print what to type at the broker'), ('run' + $tab + 'run it (a systemd unit does)'), ('status' + $tab + 'what it has done last (reads a local file)'))
        'broker' = @(('init' + $tab + 'write a new broker directory and print the first invitation'), ('check' + $tab + 'validate configuration, catalogue and policies'), ('serve' + $tab + 'run the broker'), ('unit' + $tab + 'print the unit by which systemd runs it'), ('invite' + $tab + 'print an invitation for a person'), ('target' + $tab + 'what a resource needs from its admin, and whether it has it'), ('host' + $tab + 'hosts that report who logs in there'), ('migrate' + $tab + 'bring the store up to date'), ('backup' + $tab + 'write a backup'), ('restore' + $tab + 'restore a backup'), ('rotate' + $tab + 'rotate keys'))
        'broker host' = @(('add' + $tab + 'take the reports of a host'), ('list' + $tab + 'which hosts report, and when each did last'), ('remove' + $tab + 'take no more reports of a host'))
        'broker rotate' = @(('tls' + $tab + 'a new TLS key'), ('tokens' + $tab + 'the next key for tokens, or the first'))
    }
    $options = @{
        '' = @(('-V' + $tab + 'the version'), ('--version' + $tab + 'the version'))
        'request' = @(('-i' + $tab + 'the incident it is for (ONCALL_INCIDENT)'), ('--incident' + $tab + 'the incident it is for (ONCALL_INCIDENT)'), ('-r' + $tab + 'why'), ('--reason' + $tab + 'why'), ('-d' + $tab + 'how long, such as 45m'), ('--for' + $tab + 'how long, such as 45m'), ('--wait' + $tab + 'wait for an approval where one is needed (this is the default)'), ('--no-wait' + $tab + 'do not wait: exit 8 where an approval is needed'), ('--timeout' + $tab + 'wait this long at most'), ('--key' + $tab + 'the same key, the same request: for retries, good for a day'), ('--dry-run' + $tab + 'decide and record nothing'))
        'break-glass' = @(('-r' + $tab + 'what is broken, and why it cannot wait (at least 10 characters)'), ('--reason' + $tab + 'what is broken, and why it cannot wait (at least 10 characters)'), ('-i' + $tab + 'the incident it is for (ONCALL_INCIDENT)'), ('--incident' + $tab + 'the incident it is for (ONCALL_INCIDENT)'), ('-d' + $tab + 'how long, within the cap for break-glass'), ('--for' + $tab + 'how long, within the cap for break-glass'), ('--wait' + $tab + 'where a second person is needed, wait for them (this is the default)'), ('--no-wait' + $tab + 'do not wait: exit 8 where a second person is needed'), ('--timeout' + $tab + 'wait this long at most'))
        'run' = @(('-i' + $tab + 'the incident it is for (ONCALL_INCIDENT, or the only one that fits)'), ('--incident' + $tab + 'the incident it is for (ONCALL_INCIDENT, or the only one that fits)'), ('-r' + $tab + 'why'), ('--reason' + $tab + 'why'), ('-d' + $tab + 'how long, such as 45m'), ('--for' + $tab + 'how long, such as 45m'), ('--timeout' + $tab + 'wait this long at most for an approval'), ('--no-request' + $tab + 'use what is held, ask for nothing'))
        'connect' = @(('-i' + $tab + 'the incident it is for (ONCALL_INCIDENT, or the only one that fits)'), ('--incident' + $tab + 'the incident it is for (ONCALL_INCIDENT, or the only one that fits)'), ('-r' + $tab + 'why'), ('--reason' + $tab + 'why'), ('-d' + $tab + 'how long, such as 45m'), ('--for' + $tab + 'how long, such as 45m'), ('--timeout' + $tab + 'wait this long at most for an approval'), ('--no-request' + $tab + 'use what is held, ask for nothing'))
        'status' = @(('--refresh' + $tab + 'ask the broker first'), ('--watch' + $tab + 'show what changes, as the broker tells it'), ('--check' + $tab + 'say nothing: exit 0 while it is held, 6 where it is not; asks nobody'), ('--expires-in' + $tab + 'with --check: and for so long still, such as 10m'))
        'grants' = @(('--all' + $tab + 'everybody''s, for those who may'))
        'renew' = @(('--no-extend' + $tab + 'only a fresh credential: the session window stays'))
        'release' = @(('--all' + $tab + 'everything you hold'))
        'credential' = @(('--format' + $tab + 'env, json, pgpass, ssh, mycnf, kubectl, aws-process, pem, header, token (what fits the target)'))
        'console' = @(('--print' + $tab + 'print the link; whoever has it is you'))
        'explain' = @(('-i' + $tab + 'as if asked for this incident'), ('--incident' + $tab + 'as if asked for this incident'), ('-d' + $tab + 'as if asked for this long'), ('--for' + $tab + 'as if asked for this long'), ('-r' + $tab + 'as if a reason was given'), ('--reason' + $tab + 'as if a reason was given'))
        'wait' = @(('--timeout' + $tab + 'how long at most, such as 10m (until the request expires)'))
        'approve' = @(('-d' + $tab + 'a shorter time than was asked for'), ('--for' + $tab + 'a shorter time than was asked for'))
        'deny' = @(('-r' + $tab + 'why; the requester reads it'), ('--reason' + $tab + 'why; the requester reads it'))
        'revoke' = @(('--user' + $tab + 'all that this person holds'), ('--resource' + $tab + 'all grants on this resource'), ('--incident' + $tab + 'all grants for this incident'), ('-r' + $tab + 'why; it goes into the audit log'), ('--reason' + $tab + 'why; it goes into the audit log'), ('-y' + $tab + 'do not ask'), ('--yes' + $tab + 'do not ask'))
        'incident declare' = @(('--service' + $tab + 'the service that it is about'), ('--priority' + $tab + 'P1 to P5'), ('--title' + $tab + 'what is going on'))
        'incident list' = @(('--all' + $tab + 'resolved ones too'))
        'reviews list' = @(('--all' + $tab + 'everybody''s, closed ones too, for those who may'))
        'reviews close' = @(('--outcome' + $tab + 'what it was: justified, drill, misuse'), ('--note' + $tab + 'what was found; it goes into the audit log'))
        'enroll' = @(('--name' + $tab + 'a name for this device (its host name)'), ('--keystore' + $tab + 'where its keys rest: keychain, ssh-agent, file (keychain)'), ('--agent-key' + $tab + 'with ssh-agent: which key, by part of its line or comment'), ('--cache' + $tab + 'with ssh-agent: where the keys go that an agent cannot hold: keychain, file'), ('--passphrase' + $tab + 'with file: protect the keys with one (asked for, or ONCALL_PASSPHRASE_FILE)'), ('--ca' + $tab + 'pinned, system or a PEM file (pinned)'))
        'setup' = @(('--write' + $tab + 'add the lines to the file of the tool'), ('--remove' + $tab + 'take them away'), ('--force' + $tab + 'also where they were edited by hand: the edit is lost'), ('--agent' + $tab + 'ssh: keys into the ssh-agent too, for as long as they live'), ('--shell' + $tab + 'bash, zsh, fish or powershell, where it matters (SHELL)'))
        'doctor' = @(('--fix' + $tab + 'mend what is safe to mend: modes, stale sockets, local copies, tool blocks'))
        'devices list' = @(('--user' + $tab + 'another person''s devices, for those who may'))
        'agent' = @(('--stay' + $tab + 'go on when nothing is left to keep'))
        'agent install' = @(('--remove' + $tab + 'take it away again'))
        'probe' = @(('--timeout' + $tab + 'for each check, 10s unless told'), ('--prometheus' + $tab + 'as Prometheus text'))
        'audit list' = @(('-n' + $tab + 'how many entries (20)'), ('--limit' + $tab + 'how many entries (20)'))
        'audit export' = @(('-f' + $tab + 'where to write it (stdout)'), ('--file' + $tab + 'where to write it (stdout)'))
        'audit who' = @(('--at' + $tab + 'when, with its zone: 2026-01-05T02:14:00Z'), ('--file' + $tab + 'search an export, offline'))
        'audit verify' = @(('--checkpoint' + $tab + 'a checkpoint kept elsewhere: shows truncation and rewriting'), ('--receipts' + $tab + 'a folder of receipts'))
        'host init' = @(('--config' + $tab + 'what oncall broker target printed (/etc/oncall/host.json)'), ('--resource' + $tab + 'the resource that this host serves'))
        'host run' = @(('--config' + $tab + 'what oncall broker target printed (/etc/oncall/host.json)'))
        'host status' = @(('--config' + $tab + 'what oncall broker target printed (/etc/oncall/host.json)'))
        'broker init' = @(('--admin' + $tab + 'the first person, who gets the first invitation'), ('--public-url' + $tab + 'the URL that clients use'), ('--listen' + $tab + 'where the broker listens'), ('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker check' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker serve' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker host list' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker host remove' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker migrate' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker backup' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker restore' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker rotate tls' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker rotate tokens' = @(('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker unit' = @(('--user' + $tab + 'whom it runs as, who owns the directory'), ('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker invite' = @(('-d' + $tab + 'how long the invitation is good, such as 24h'), ('--for' + $tab + 'how long the invitation is good, such as 24h'), ('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker target' = @(('--check' + $tab + 'try each requirement at the target'), ('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        'broker host add' = @(('--key' + $tab + 'what oncall host init printed there: ed25519:...'), ('--dir' + $tab + 'the broker directory (ONCALL_BROKER_DIR, else .)'))
        '*' = @(('-o' + $tab + 'table, json or ndjson'), ('--output' + $tab + 'table, json or ndjson'), ('--json' + $tab + 'short for -o json'), ('--profile' + $tab + 'which installation (ONCALL_PROFILE)'), ('--no-agent' + $tab + 'neither use nor start the background agent (ONCALL_AGENT=off)'), ('-h' + $tab + 'more about it'), ('--help' + $tab + 'more about it'))
    }

    # Where oncall keeps its cache or config for a profile; nothing where no variable says so.
    $folderOf = {
        param([string]$kind, [string]$profileName)
        $xdg = if ($kind -eq 'config') { $env:XDG_CONFIG_HOME } else { $env:XDG_CACHE_HOME }
        $own = if ($kind -eq 'config') { '.config' } else { '.cache' }
        $folder = $null
        if ($env:ONCALL_HOME) {
            if (-not [IO.Path]::IsPathRooted($env:ONCALL_HOME)) { return }
            $folder = [IO.Path]::Combine($env:ONCALL_HOME, $kind)
        } elseif ($xdg -and [IO.Path]::IsPathRooted($xdg)) {
            $folder = [IO.Path]::Combine($xdg, 'oncall')
        } else {
            $userHome = @($env:HOME, $env:USERPROFILE) | Where-Object { $_ -and [IO.Path]::IsPathRooted($_) } | Select-Object -First 1
            if (-not $userHome) { return }
            $folder = [IO.Path]::Combine($userHome, $own, 'oncall')
        }
        if (-not $profileName -or $profileName -ceq 'default') { return $folder }
        if ($profileName -cnotmatch '\A[a-z0-9][a-z0-9-]{0,39}\z') { return }
        [IO.Path]::Combine($folder, 'profiles', $profileName)
    }

    # The rows of a list: a name, and behind a tab what it is.
    $namesOf = {
        param([string]$list, [string]$profileName)
        $folder = & $folderOf 'cache' $profileName
        if (-not $folder) { return }
        $file = [IO.Path]::Combine($folder, 'complete', $list)
        try {
            if ([IO.File]::GetAttributes($file) -band ([IO.FileAttributes]'Directory, ReparsePoint')) { return }
            $lines = [IO.File]::ReadAllLines($file)
        } catch { return }
        $now = [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
        foreach ($line in $lines) {
            $parts = $line.Split([char]9)
            if ($parts[0] -cnotmatch '\A[A-Za-z0-9][A-Za-z0-9._@/+:-]{0,127}\z') { continue }
            $text = ''
            if ($parts.Length -gt 1 -and $parts[1] -cmatch '\A[^\p{C}]{0,240}\z') { $text = $parts[1] }
            if ($parts.Length -gt 2 -and $parts[2] -cmatch '\A[1-9][0-9]{0,11}\z') {
                $left = [long]$parts[2] - $now
                if ($left -le 0) { continue }
                $minutes = [long][Math]::Floor($left / 60)
                $words = if ($minutes -lt 60) { '{0}m left' -f $minutes } else { '{0}h{1}m left' -f [Math]::Floor($minutes / 60), ($minutes % 60) }
                $text = if ($text) { $text + ', ' + $words } else { $words }
            }
            if ($text) { $parts[0] + $tab + $text } else { $parts[0] }
        }
    }

    $profilesOf = {
        $folder = & $folderOf 'config' ''
        if (-not $folder) { return }
        try {
            foreach ($path in [IO.Directory]::GetDirectories([IO.Path]::Combine($folder, 'profiles'))) {
                $name = [IO.Path]::GetFileName($path)
                if ($name -cmatch '\A[a-z0-9][a-z0-9-]{0,39}\z') { $name }
            }
        } catch { return }
    }

    # What the words of an offer stand for.
    $rowsOf = {
        param($offer, [string]$typed, [string]$profileName)
        foreach ($row in $offer) {
            switch -CaseSensitive -Regex ($row) {
                # Roles only where one is being typed: there are several for each resource.
                '\A@roles\z' { if ($typed.Contains(':')) { & $namesOf 'roles' $profileName }; break }
                '\A@profiles\z' { & $profilesOf; break }
                '\A@' { & $namesOf $row.Substring(1) $profileName; break }
                # Files and folders are what PowerShell offers where we offer nothing.
                '\A(/[fd]|!)\z' { break }
                default { $row }
            }
        }
    }

    $command = ''
    $argumentCount = 0
    $takes = $null
    $option = ''
    $profileName = [string]$env:ONCALL_PROFILE
    $elements = @($commandAst.CommandElements | Select-Object -Skip 1 | Where-Object { $_.Extent.EndOffset -lt $cursorPosition })
    foreach ($element in $elements) {
        $word = if ($element -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $element.Value } else { $element.Extent.Text }
        if ($takes -and -not ($takes[0] -eq '?' -and $word.StartsWith('-'))) {
            if ($option -ceq '--profile') { $profileName = $word }
            $takes = $null
            continue
        }
        $takes = $null
        if ($word -ceq '--') { return }
        if ($word.StartsWith('--profile=')) { $profileName = $word.Substring(10); continue }
        if ($word.StartsWith('--') -and $word.Contains('=')) { continue }
        if ($word.StartsWith('-')) {
            $option = $word
            $takes = if ($values.ContainsKey("$command $word")) { $values["$command $word"] } else { $values["* $word"] }
            continue
        }
        $child = if ($argumentCount -eq 0) { $children["$command/$word"] } else { $null }
        if ($child) { $command = $child } else { $argumentCount++ }
    }

    $typed = [string]$wordToComplete
    $head = ''
    $rows = @()
    $kind = 'ParameterValue'
    if ($takes -and -not ($takes[0] -eq '?' -and $typed.StartsWith('-'))) {
        $rows = @(& $rowsOf @($takes | Select-Object -Skip 1) $typed $profileName)
    } elseif ($typed.StartsWith('--') -and $typed.Contains('=')) {
        $at = $typed.IndexOf('=')
        $name = $typed.Substring(0, $at)
        $head = $typed.Substring(0, $at + 1)
        $typed = $typed.Substring($at + 1)
        $takes = if ($values.ContainsKey("$command $name")) { $values["$command $name"] } else { $values["* $name"] }
        if ($takes) { $rows = @(& $rowsOf @($takes | Select-Object -Skip 1) $typed $profileName) }
    } elseif ($typed.StartsWith('-')) {
        $kind = 'ParameterName'
        $rows = @($options[$command]) + @($options['*'])
    } else {
        if ($argumentCount -eq 0) { $rows = @($commands[$command]) }
        $offer = if ($arguments.ContainsKey("$command $argumentCount")) { $arguments["$command $argumentCount"] } else { $arguments["$command *"] }
        $rows += @(& $rowsOf $offer $typed $profileName)
    }
    foreach ($row in $rows) {
        if (-not $row) { continue }
        $parts = $row.Split([char]9)
        if (-not $parts[0].StartsWith($typed, [StringComparison]::Ordinal)) { continue }
        $tip = if ($parts.Length -gt 1) { $parts[1] } else { $parts[0] }
        [System.Management.Automation.CompletionResult]::new($head + $parts[0], $parts[0], $kind, $tip)
    }
}
