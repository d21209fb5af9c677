# fish completion of oncall. Made from the commands themselves when the package is built: do not edit.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out, and so is a description that could steer the terminal.

# Prints the child that a word names: "devices/list" leads to "devices list".
function __oncall_child
    switch $argv[1]
        case '/request'
            echo 'request'
        case '/break-glass'
            echo 'break-glass'
        case '/run'
            echo 'run'
        case '/exec'
            echo 'run'
        case '/connect'
            echo 'connect'
        case '/status'
            echo 'status'
        case '/ls'
            echo 'status'
        case '/held'
            echo 'held'
        case '/grants'
            echo 'grants'
        case '/renew'
            echo 'renew'
        case '/release'
            echo 'release'
        case '/credential'
            echo 'credential'
        case '/console'
            echo 'console'
        case '/resources'
            echo 'resources'
        case '/explain'
            echo 'explain'
        case '/wait'
            echo 'wait'
        case '/cancel'
            echo 'cancel'
        case '/approvals'
            echo 'approvals'
        case '/approve'
            echo 'approve'
        case '/deny'
            echo 'deny'
        case '/revoke'
            echo 'revoke'
        case '/incident'
            echo 'incident'
        case '/reviews'
            echo 'reviews'
        case '/enroll'
            echo 'enroll'
        case '/setup'
            echo 'setup'
        case '/completion'
            echo 'completion'
        case '/whoami'
            echo 'whoami'
        case '/doctor'
            echo 'doctor'
        case '/devices'
            echo 'devices'
        case '/agent'
            echo 'agent'
        case '/probe'
            echo 'probe'
        case '/audit'
            echo 'audit'
        case '/drill'
            echo 'drill'
        case '/rollout'
            echo 'rollout'
        case '/host'
            echo 'host'
        case '/broker'
            echo 'broker'
        case 'break-glass/list'
            echo 'break-glass list'
        case 'break-glass/rotate'
            echo 'break-glass rotate'
        case 'incident/declare'
            echo 'incident declare'
        case 'incident/list'
            echo 'incident list'
        case 'incident/show'
            echo 'incident show'
        case 'incident/resolve'
            echo 'incident resolve'
        case 'incident/reopen'
            echo 'incident reopen'
        case 'reviews/list'
            echo 'reviews list'
        case 'reviews/show'
            echo 'reviews show'
        case 'reviews/close'
            echo 'reviews close'
        case 'devices/list'
            echo 'devices list'
        case 'devices/revoke'
            echo 'devices revoke'
        case 'devices/add'
            echo 'devices add'
        case 'agent/status'
            echo 'agent status'
        case 'agent/stop'
            echo 'agent stop'
        case 'agent/logs'
            echo 'agent logs'
        case 'agent/install'
            echo 'agent install'
        case 'audit/list'
            echo 'audit list'
        case 'audit/export'
            echo 'audit export'
        case 'audit/who'
            echo 'audit who'
        case 'audit/verify'
            echo 'audit verify'
        case 'host/init'
            echo 'host init'
        case 'host/run'
            echo 'host run'
        case 'host/status'
            echo 'host status'
        case 'broker/init'
            echo 'broker init'
        case 'broker/check'
            echo 'broker check'
        case 'broker/serve'
            echo 'broker serve'
        case 'broker/unit'
            echo 'broker unit'
        case 'broker/invite'
            echo 'broker invite'
        case 'broker/target'
            echo 'broker target'
        case 'broker/host'
            echo 'broker host'
        case 'broker/migrate'
            echo 'broker migrate'
        case 'broker/backup'
            echo 'broker backup'
        case 'broker/restore'
            echo 'broker restore'
        case 'broker/rotate'
            echo 'broker rotate'
        case 'broker host/add'
            echo 'broker host add'
        case 'broker host/list'
            echo 'broker host list'
        case 'broker host/remove'
            echo 'broker host remove'
        case 'broker rotate/tls'
            echo 'broker rotate tls'
        case 'broker rotate/tokens'
            echo 'broker rotate tokens'
    end
end

# Prints = (a value) or ? (perhaps one) for an option ("request --incident"), then what may be its value.
function __oncall_value
    switch $argv[1]
        case 'request -i' 'request --incident' 'break-glass -i' 'break-glass --incident' 'run -i' 'run --incident' 'connect -i' 'connect --incident' 'explain -i' 'explain --incident' 'revoke --incident'
            printf '%s\n' '=' '@incidents'
        case 'request -r' 'request --reason' 'request -d' 'request --for' 'request --timeout' 'request --key' 'break-glass -r' 'break-glass --reason' 'break-glass -d' 'break-glass --for' 'break-glass --timeout' 'run -r' 'run --reason' 'run -d' 'run --for' 'run --timeout' 'connect -r' 'connect --reason' 'connect -d' 'connect --for' 'connect --timeout' 'status --check' 'status --expires-in' 'explain -d' 'explain --for' 'wait --timeout' 'approve -d' 'approve --for' 'deny -r' 'deny --reason' 'revoke --user' 'revoke -r' 'revoke --reason' 'incident declare --title' 'reviews close --note' 'enroll --name' 'enroll --agent-key' 'devices list --user' 'probe --timeout' 'audit list -n' 'audit list --limit' 'audit who --at' 'broker init --admin' 'broker init --public-url' 'broker init --listen' 'broker unit --user' 'broker invite -d' 'broker invite --for' 'broker host add --key'
            printf '%s\n' '='
        case 'credential --format'
            printf '%s\n' '=' 'env' 'json' 'pgpass' 'ssh' 'mycnf' 'kubectl' 'aws-process' 'pem' 'header' 'token'
        case 'explain -r' 'explain --reason'
            printf '%s\n' '?'
        case 'revoke --resource' 'host init --resource'
            printf '%s\n' '=' '@resources'
        case 'incident declare --service'
            printf '%s\n' '=' '@services'
        case 'incident declare --priority'
            printf '%s\n' '=' 'P1' 'P2' 'P3' 'P4' 'P5'
        case 'reviews close --outcome'
            printf '%s\n' '=' 'justified' 'drill' 'misuse'
        case 'enroll --keystore'
            printf '%s\n' '=' 'keychain' 'ssh-agent' 'file'
        case 'enroll --cache'
            printf '%s\n' '=' 'keychain' 'file'
        case 'enroll --ca'
            printf '%s\n' '=' 'pinned' 'system' '/f'
        case 'setup --shell'
            printf '%s\n' '=' 'bash' 'zsh' 'fish' 'powershell'
        case 'audit export -f' 'audit export --file' 'audit who --file' 'audit verify --checkpoint' 'host init --config' 'host run --config' 'host status --config'
            printf '%s\n' '=' '/f'
        case 'audit verify --receipts' 'broker init --dir' 'broker check --dir' 'broker serve --dir' 'broker unit --dir' 'broker invite --dir' 'broker target --dir' 'broker host add --dir' 'broker host list --dir' 'broker host remove --dir' 'broker migrate --dir' 'broker backup --dir' 'broker restore --dir' 'broker rotate tls --dir' 'broker rotate tokens --dir'
            printf '%s\n' '=' '/d'
        case '* -o' '* --output'
            printf '%s\n' '=' 'table' 'json' 'ndjson'
        case '* --profile'
            printf '%s\n' '=' '@profiles'
    end
end

# Each prints what may stand there: an argument ("connect 1"), what is behind --, a child, an option.
function __oncall_argument
    switch $argv[1]
        case 'request *' 'break-glass *' 'run *' 'connect 0'
            printf '%s\n' '@resources' '@roles' '@bundles'
        case 'break-glass rotate 0' 'broker target 0'
            printf '%s\n' '@resources'
        case 'held *' 'console 0'
            printf '%s\n' '@held' '@resources' '@roles'
        case 'renew *' 'credential 0'
            printf '%s\n' '@held'
        case 'release *'
            printf '%s\n' '@held' '@grants'
        case 'explain 0'
            printf '%s\n' '@resources' '@roles' '@requests'
        case 'wait 0' 'cancel 0'
            printf '%s\n' '@requests'
        case 'approve 0' 'deny 0'
            printf '%s\n' '@approvals'
        case 'revoke *'
            printf '%s\n' '@grants'
        case 'incident show 0' 'incident resolve 0'
            printf '%s\n' '@incidents'
        case 'reviews close 0'
            printf '%s\n' '@reviews'
        case 'setup 0'
            printf '%s\n' 'ssh'\t'ssh, scp and sftp: hosts by name' 'psql'\t'psql and all else on libpq: services by the name of the resource' 'mariadb'\t'mariadb, mysql and their dumps: option groups by the name of the resource' 'redis'\t'bash, zsh and fish: oncall-redis, which is redis-cli at a resource' 'kubectl'\t'kubectl and all else that reads a kubeconfig: contexts by the name of the resource' 'aws'\t'aws and all else on an AWS SDK: profiles by the name of the resource' 'prompt'\t'bash, zsh and fish: what you hold, in the prompt' 'completion'\t'bash, zsh, fish and PowerShell: commands, options and names on Tab'
        case 'completion 0'
            printf '%s\n' 'bash' 'zsh' 'fish' 'powershell'
        case 'audit verify 0' 'broker backup 0' 'broker restore 0'
            printf '%s\n' '/f'
        case 'drill 0'
            printf '%s\n' '@resources' '@roles'
        case 'broker init 0' 'broker check 0' 'broker serve 0'
            printf '%s\n' '/d'
    end
end

function __oncall_rest
    switch $argv[1]
        case 'run'
            printf '%s\n' '!'
    end
end

function __oncall_commands
    switch $argv[1]
        case ''
            printf '%s\n' 'request'\t'ask for access to one or more resources' 'break-glass'\t'open at once what cannot wait: everybody hears of it, and it is reviewed' 'run'\t'run a command with access to its targets' 'exec'\t'run a command with access to its targets' 'connect'\t'open the client that fits a resource' 'status'\t'what you hold right now (reads a local file)' 'ls'\t'what you hold right now (reads a local file)' 'held'\t'whether access is at hand here, else how to get it (reads a local file)' 'grants'\t'your grants at the broker' 'renew'\t'refresh a credential and extend its session window' 'release'\t'give access back before it ends' 'credential'\t'print a credential for another tool' 'console'\t'open a target\'s own web console' 'resources'\t'what can be asked for' 'explain'\t'why a request is granted, asked or denied' 'wait'\t'wait for the answer to a request' 'cancel'\t'withdraw a pending request' 'approvals'\t'requests that wait for your answer' 'approve'\t'approve a request' 'deny'\t'deny a request' 'revoke'\t'end other people\'s access' 'incident'\t'declare, list, show, resolve and reopen incidents' 'reviews'\t'look at what was opened past the usual yes' 'enroll'\t'register this device with an invitation' 'setup'\t'make ssh, psql and other plain tools find what you hold' 'completion'\t'print what makes a shell complete commands and names' 'whoami'\t'who you are to the broker, and your shifts' 'doctor'\t'what is wrong on this machine, and what to type about it' 'devices'\t'list, revoke and add your devices' 'agent'\t'keep what you hold alive in the background (started by commands)' 'probe'\t'whether the broker does its work, for a monitor' 'audit'\t'list, search, export and verify the audit log' 'drill'\t'break-glass at a canary, timed, as if there were no broker' 'rollout'\t'the phase of each resource, and what is missing for the next one' 'host'\t'at a target: tell the broker who logs in, end what is over' 'broker'\t'set up and run a broker'
        case 'break-glass'
            printf '%s\n' 'list'\t'what break-glass left at the resources, and what has to be cleaned up' 'rotate'\t'a resource is cleaned up: take back every pack from before'
        case 'incident'
            printf '%s\n' 'declare'\t'open an incident' 'list'\t'open incidents' 'show'\t'one incident' 'resolve'\t'close an incident' 'reopen'\t'open a closed incident again'
        case 'reviews'
            printf '%s\n' 'list'\t'open reviews that concern you' 'show'\t'what one of them is about' 'close'\t'say what it was'
        case 'devices'
            printf '%s\n' 'list'\t'your devices' 'revoke'\t'revoke a device' 'add'\t'print an invitation for your next device'
        case 'agent'
            printf '%s\n' 'status'\t'whether it runs, and what it keeps' 'stop'\t'end it; what is held stays' 'logs'\t'what it has done' 'install'\t'write a systemd or launchd job that starts it at login'
        case 'audit'
            printf '%s\n' 'list'\t'the newest entries' 'export'\t'write the log to a file' 'who'\t'who acted under a name at a target' 'verify'\t'verify an exported log, offline'
        case 'host'
            printf '%s\n' 'init'\t'make a key, and print what to type at the broker' 'run'\t'run it (a systemd unit does)' 'status'\t'what it has done last (reads a local file)'
        case 'broker'
            printf '%s\n' 'init'\t'write a new broker directory and print the first invitation' 'check'\t'validate configuration, catalogue and policies' 'serve'\t'run the broker' 'unit'\t'print the unit by which systemd runs it' 'invite'\t'print an invitation for a person' 'target'\t'what a resource needs from its admin, and whether it has it' 'host'\t'hosts that report who logs in there' 'migrate'\t'bring the store up to date' 'backup'\t'write a backup' 'restore'\t'restore a backup' 'rotate'\t'rotate keys'
        case 'broker host'
            printf '%s\n' 'add'\t'take the reports of a host' 'list'\t'which hosts report, and when each did last' 'remove'\t'take no more reports of a host'
        case 'broker rotate'
            printf '%s\n' 'tls'\t'a new TLS key' 'tokens'\t'the next key for tokens, or the first'
    end
end

function __oncall_options
    printf '%s\n' '-o'\t'table, json or ndjson' '--output'\t'table, json or ndjson' '--json'\t'short for -o json' '--profile'\t'which installation (ONCALL_PROFILE)' '--no-agent'\t'neither use nor start the background agent (ONCALL_AGENT=off)' '-h'\t'more about it' '--help'\t'more about it'
    switch $argv[1]
        case ''
            printf '%s\n' '-V'\t'the version' '--version'\t'the version'
        case 'request'
            printf '%s\n' '-i'\t'the incident it is for (ONCALL_INCIDENT)' '--incident'\t'the incident it is for (ONCALL_INCIDENT)' '-r'\t'why' '--reason'\t'why' '-d'\t'how long, such as 45m' '--for'\t'how long, such as 45m' '--wait'\t'wait for an approval where one is needed (this is the default)' '--no-wait'\t'do not wait: exit 8 where an approval is needed' '--timeout'\t'wait this long at most' '--key'\t'the same key, the same request: for retries, good for a day' '--dry-run'\t'decide and record nothing'
        case 'break-glass'
            printf '%s\n' '-r'\t'what is broken, and why it cannot wait (at least 10 characters)' '--reason'\t'what is broken, and why it cannot wait (at least 10 characters)' '-i'\t'the incident it is for (ONCALL_INCIDENT)' '--incident'\t'the incident it is for (ONCALL_INCIDENT)' '-d'\t'how long, within the cap for break-glass' '--for'\t'how long, within the cap for break-glass' '--wait'\t'where a second person is needed, wait for them (this is the default)' '--no-wait'\t'do not wait: exit 8 where a second person is needed' '--timeout'\t'wait this long at most'
        case 'run' 'connect'
            printf '%s\n' '-i'\t'the incident it is for (ONCALL_INCIDENT, or the only one that fits)' '--incident'\t'the incident it is for (ONCALL_INCIDENT, or the only one that fits)' '-r'\t'why' '--reason'\t'why' '-d'\t'how long, such as 45m' '--for'\t'how long, such as 45m' '--timeout'\t'wait this long at most for an approval' '--no-request'\t'use what is held, ask for nothing'
        case 'status'
            printf '%s\n' '--refresh'\t'ask the broker first' '--watch'\t'show what changes, as the broker tells it' '--check'\t'say nothing: exit 0 while it is held, 6 where it is not; asks nobody' '--expires-in'\t'with --check: and for so long still, such as 10m'
        case 'grants'
            printf '%s\n' '--all'\t'everybody\'s, for those who may'
        case 'renew'
            printf '%s\n' '--no-extend'\t'only a fresh credential: the session window stays'
        case 'release'
            printf '%s\n' '--all'\t'everything you hold'
        case 'credential'
            printf '%s\n' '--format'\t'env, json, pgpass, ssh, mycnf, kubectl, aws-process, pem, header, token (what fits the target)'
        case 'console'
            printf '%s\n' '--print'\t'print the link; whoever has it is you'
        case 'explain'
            printf '%s\n' '-i'\t'as if asked for this incident' '--incident'\t'as if asked for this incident' '-d'\t'as if asked for this long' '--for'\t'as if asked for this long' '-r'\t'as if a reason was given' '--reason'\t'as if a reason was given'
        case 'wait'
            printf '%s\n' '--timeout'\t'how long at most, such as 10m (until the request expires)'
        case 'approve'
            printf '%s\n' '-d'\t'a shorter time than was asked for' '--for'\t'a shorter time than was asked for'
        case 'deny'
            printf '%s\n' '-r'\t'why; the requester reads it' '--reason'\t'why; the requester reads it'
        case 'revoke'
            printf '%s\n' '--user'\t'all that this person holds' '--resource'\t'all grants on this resource' '--incident'\t'all grants for this incident' '-r'\t'why; it goes into the audit log' '--reason'\t'why; it goes into the audit log' '-y'\t'do not ask' '--yes'\t'do not ask'
        case 'incident declare'
            printf '%s\n' '--service'\t'the service that it is about' '--priority'\t'P1 to P5' '--title'\t'what is going on'
        case 'incident list'
            printf '%s\n' '--all'\t'resolved ones too'
        case 'reviews list'
            printf '%s\n' '--all'\t'everybody\'s, closed ones too, for those who may'
        case 'reviews close'
            printf '%s\n' '--outcome'\t'what it was: justified, drill, misuse' '--note'\t'what was found; it goes into the audit log'
        case 'enroll'
            printf '%s\n' '--name'\t'a name for this device (its host name)' '--keystore'\t'where its keys rest: keychain, ssh-agent, file (keychain)' '--agent-key'\t'with ssh-agent: which key, by part of its line or comment' '--cache'\t'with ssh-agent: where the keys go that an agent cannot hold: keychain, file' '--passphrase'\t'with file: protect the keys with one (asked for, or ONCALL_PASSPHRASE_FILE)' '--ca'\t'pinned, system or a PEM file (pinned)'
        case 'setup'
            printf '%s\n' '--write'\t'add the lines to the file of the tool' '--remove'\t'take them away' '--force'\t'also where they were edited by hand: the edit is lost' '--agent'\t'ssh: keys into the ssh-agent too, for as long as they live' '--shell'\t'bash, zsh, fish or powershell, where it matters (SHELL)'
        case 'doctor'
            printf '%s\n' '--fix'\t'mend what is safe to mend: modes, stale sockets, local copies, tool blocks'
        case 'devices list'
            printf '%s\n' '--user'\t'another person\'s devices, for those who may'
        case 'agent'
            printf '%s\n' '--stay'\t'go on when nothing is left to keep'
        case 'agent install'
            printf '%s\n' '--remove'\t'take it away again'
        case 'probe'
            printf '%s\n' '--timeout'\t'for each check, 10s unless told' '--prometheus'\t'as Prometheus text'
        case 'audit list'
            printf '%s\n' '-n'\t'how many entries (20)' '--limit'\t'how many entries (20)'
        case 'audit export'
            printf '%s\n' '-f'\t'where to write it (stdout)' '--file'\t'where to write it (stdout)'
        case 'audit who'
            printf '%s\n' '--at'\t'when, with its zone: 2026-01-05T02:14:00Z' '--file'\t'search an export, offline'
        case 'audit verify'
            printf '%s\n' '--checkpoint'\t'a checkpoint kept elsewhere: shows truncation and rewriting' '--receipts'\t'a folder of receipts'
        case 'host init'
            printf '%s\n' '--config'\t'what oncall broker target printed (/etc/oncall/host.json)' '--resource'\t'the resource that this host serves'
        case 'host run' 'host status'
            printf '%s\n' '--config'\t'what oncall broker target printed (/etc/oncall/host.json)'
        case 'broker init'
            printf '%s\n' '--admin'\t'the first person, who gets the first invitation' '--public-url'\t'the URL that clients use' '--listen'\t'where the broker listens' '--dir'\t'the broker directory (ONCALL_BROKER_DIR, else .)'
        case 'broker check' 'broker serve' 'broker host list' 'broker host remove' 'broker migrate' 'broker backup' 'broker restore' 'broker rotate tls' 'broker rotate tokens'
            printf '%s\n' '--dir'\t'the broker directory (ONCALL_BROKER_DIR, else .)'
        case 'broker unit'
            printf '%s\n' '--user'\t'whom it runs as, who owns the directory' '--dir'\t'the broker directory (ONCALL_BROKER_DIR, else .)'
        case 'broker invite'
            printf '%s\n' '-d'\t'how long the invitation is good, such as 24h' '--for'\t'how long the invitation is good, such as 24h' '--dir'\t'the broker directory (ONCALL_BROKER_DIR, else .)'
        case 'broker target'
            printf '%s\n' '--check'\t'try each requirement at the target' '--dir'\t'the broker directory (ONCALL_BROKER_DIR, else .)'
        case 'broker host add'
            printf '%s\n' '--key'\t'what oncall host init printed there: ed25519:...' '--dir'\t'the broker directory (ONCALL_BROKER_DIR, else .)'
    end
end

# Says where oncall keeps its cache or config ($argv[1]) for a profile.
function __oncall_folder -a kind profile
    set -l xdg $XDG_CACHE_HOME
    set -l own .cache
    if test "$kind" = config
        set xdg $XDG_CONFIG_HOME
        set own .config
    end
    set -l folder
    if test -n "$ONCALL_HOME"
        string match -q '/*' -- "$ONCALL_HOME"; or return 1
        set folder "$ONCALL_HOME/$kind"
    else if string match -q '/*' -- "$xdg"
        set folder "$xdg/oncall"
    else if string match -q '/*' -- "$HOME"
        set folder "$HOME/$own/oncall"
    else
        return 1
    end
    if test -n "$profile" -a "$profile" != default
        string match -qr '^[a-z0-9][a-z0-9-]{0,39}$' -- "$profile"; or return 1
        set folder "$folder/profiles/$profile"
    end
    echo -- "$folder"
end

# Prints the rows of a list: a name, and behind a tab what it is.
function __oncall_names -a list profile
    set -l file (__oncall_folder cache "$profile")/complete/$list
    test -f "$file" -a -r "$file" -a -O "$file" -a ! -L "$file"; or return
    # Without its description, where that is not one to show.
    set -l row '^[A-Za-z0-9][A-Za-z0-9._@/+:-]{0,127}(?=\t|$)(?:\t[^\x00-\x1f\x7f-\x9f\x{200b}-\x{200f}\x{2028}-\x{202e}\x{2066}-\x{2069}\x{feff}]{0,240}(?=\t|$))?'
    switch $list
        case grants held requests approvals
            # They have an end. fish has no clock, but it knows how old a file is, and since when it is there.
            set -l now (math (path mtime -- $file) + (path mtime -R -- $file) 2>/dev/null)
            for line in (string match -r -- $row'(?:\t[1-9][0-9]{0,11}$)?' <$file 2>/dev/null)
                set -l parts (string split \t -- $line)
                if set -q parts[3]; and test -n "$now"
                    test $parts[3] -gt $now; or continue
                    set -l left (math "floor(($parts[3] - $now) / 60)")
                    if test $left -lt 60
                        set left $left"m left"
                    else
                        set left (math "floor($left / 60)")h(math $left % 60)"m left"
                    end
                    set parts[2] (string join ', ' -- (string match -r '.+' -- $parts[2]) $left)
                end
                string join \t -- $parts[1..2]
            end
        case '*'
            string match -r -- $row <$file 2>/dev/null
    end
end

function __oncall_profiles
    set -l folder (__oncall_folder config ''); or return
    string match -rg '/([a-z0-9][a-z0-9-]{0,39})/$' -- $folder/profiles/*/
end

# Prints what the words of an offer stand for.
function __oncall_offer -a profile cur
    for word in $argv[3..]
        switch $word
            case @roles
                # Only where one is being typed: there are several for each resource.
                string match -q '*:*' -- $cur; and __oncall_names roles "$profile"
            case @profiles
                __oncall_profiles
            case '@*'
                __oncall_names (string sub -s 2 -- $word) "$profile"
            case /f
                __fish_complete_path "$cur"
            case /d
                __fish_complete_directories "$cur" ''
            case '*'
                echo -- $word
        end
    end
end

function __oncall_complete
    set -l tokens (commandline -opc)
    set -l cur (commandline -ct)
    set -l profile $ONCALL_PROFILE
    set -l command ''
    set -l arguments 0
    set -l option
    # The first of what an option takes is = or ?.
    set -l takes
    set -l i 1
    for word in $tokens[2..]
        set i (math $i + 1)
        if set -q takes[1]; and not begin; test "$takes[1]" = '?'; and string match -q -- '-*' $word; end
            test "$option" = --profile; and set profile $word
            set takes
            continue
        end
        set takes
        switch $word
            case --
                test "$(__oncall_rest "$command")" = '!'; or return
                complete -C (string join ' ' -- (string escape -- $tokens[(math $i + 1)..]) "$cur")
                return
            case '--profile=*'
                set profile (string split -m 1 = -- $word)[2]
            case '--*=*'
            case '-*'
                set option $word
                set takes (__oncall_value "$command $word")
            case '*'
                set -l child
                test $arguments -eq 0; and set child (__oncall_child "$command/$word")
                if test -n "$child"
                    set command $child
                else
                    set arguments (math $arguments + 1)
                end
        end
    end
    if set -q takes[1]; and not begin; test "$takes[1]" = '?'; and string match -q -- '-*' $cur; end
        __oncall_offer "$profile" "$cur" $takes[2..]
    else if string match -q -- '--*=*' $cur
        set -l parts (string split -m 1 = -- $cur)
        set takes (__oncall_value "$command $parts[1]")
        __oncall_offer "$profile" "$parts[2]" $takes[2..] | string replace -r '^' -- "$parts[1]="
    else if string match -q -- '-*' $cur
        __oncall_options "$command"
    else
        test $arguments -eq 0; and __oncall_commands "$command"
        __oncall_offer "$profile" "$cur" (__oncall_argument "$command $arguments")
    end
end

complete -c oncall -e
complete -c oncall -f -a '(__oncall_complete)'
