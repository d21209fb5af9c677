# bash completion of oncall, for bash 3.2 and newer. Made from the commands themselves when the package is built: do not edit.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out.

# Sets command to the child that $1 names: "devices/list" leads to "devices list".
__oncall_child() {
  case $1 in
    '/request') command='request' ;;
    '/break-glass') command='break-glass' ;;
    '/run') command='run' ;;
    '/exec') command='run' ;;
    '/connect') command='connect' ;;
    '/status') command='status' ;;
    '/ls') command='status' ;;
    '/held') command='held' ;;
    '/grants') command='grants' ;;
    '/renew') command='renew' ;;
    '/release') command='release' ;;
    '/credential') command='credential' ;;
    '/console') command='console' ;;
    '/resources') command='resources' ;;
    '/explain') command='explain' ;;
    '/wait') command='wait' ;;
    '/cancel') command='cancel' ;;
    '/approvals') command='approvals' ;;
    '/approve') command='approve' ;;
    '/deny') command='deny' ;;
    '/revoke') command='revoke' ;;
    '/incident') command='incident' ;;
    '/reviews') command='reviews' ;;
    '/enroll') command='enroll' ;;
    '/setup') command='setup' ;;
    '/completion') command='completion' ;;
    '/whoami') command='whoami' ;;
    '/doctor') command='doctor' ;;
    '/devices') command='devices' ;;
    '/agent') command='agent' ;;
    '/probe') command='probe' ;;
    '/audit') command='audit' ;;
    '/drill') command='drill' ;;
    '/rollout') command='rollout' ;;
    '/host') command='host' ;;
    '/broker') command='broker' ;;
    'break-glass/list') command='break-glass list' ;;
    'break-glass/rotate') command='break-glass rotate' ;;
    'incident/declare') command='incident declare' ;;
    'incident/list') command='incident list' ;;
    'incident/show') command='incident show' ;;
    'incident/resolve') command='incident resolve' ;;
    'incident/reopen') command='incident reopen' ;;
    'reviews/list') command='reviews list' ;;
    'reviews/show') command='reviews show' ;;
    'reviews/close') command='reviews close' ;;
    'devices/list') command='devices list' ;;
    'devices/revoke') command='devices revoke' ;;
    'devices/add') command='devices add' ;;
    'agent/status') command='agent status' ;;
    'agent/stop') command='agent stop' ;;
    'agent/logs') command='agent logs' ;;
    'agent/install') command='agent install' ;;
    'audit/list') command='audit list' ;;
    'audit/export') command='audit export' ;;
    'audit/who') command='audit who' ;;
    'audit/verify') command='audit verify' ;;
    'host/init') command='host init' ;;
    'host/run') command='host run' ;;
    'host/status') command='host status' ;;
    'broker/init') command='broker init' ;;
    'broker/check') command='broker check' ;;
    'broker/serve') command='broker serve' ;;
    'broker/unit') command='broker unit' ;;
    'broker/invite') command='broker invite' ;;
    'broker/target') command='broker target' ;;
    'broker/host') command='broker host' ;;
    'broker/migrate') command='broker migrate' ;;
    'broker/backup') command='broker backup' ;;
    'broker/restore') command='broker restore' ;;
    'broker/rotate') command='broker rotate' ;;
    'broker host/add') command='broker host add' ;;
    'broker host/list') command='broker host list' ;;
    'broker host/remove') command='broker host remove' ;;
    'broker rotate/tls') command='broker rotate tls' ;;
    'broker rotate/tokens') command='broker rotate tokens' ;;
    *) return 1 ;;
  esac
}

# Sets takes to = (a value) or ? (perhaps one) for an option ("request --incident"), and offer to what may be its value.
__oncall_value() {
  case $1 in
    'request -i' | 'request --incident' | 'break-glass -i' | 'break-glass --incident' | 'run -i' | 'run --incident' | 'connect -i' | 'connect --incident' | 'explain -i' | 'explain --incident' | 'revoke --incident') takes='=' offer='@incidents' ;;
    'request -r' | 'request --reason' | 'request -d' | 'request --for' | 'request --timeout' | 'request --key' | 'break-glass -r' | 'break-glass --reason' | 'break-glass -d' | 'break-glass --for' | 'break-glass --timeout' | 'run -r' | 'run --reason' | 'run -d' | 'run --for' | 'run --timeout' | 'connect -r' | 'connect --reason' | 'connect -d' | 'connect --for' | 'connect --timeout' | 'status --check' | 'status --expires-in' | 'explain -d' | 'explain --for' | 'wait --timeout' | 'approve -d' | 'approve --for' | 'deny -r' | 'deny --reason' | 'revoke --user' | 'revoke -r' | 'revoke --reason' | 'incident declare --title' | 'reviews close --note' | 'enroll --name' | 'enroll --agent-key' | 'devices list --user' | 'probe --timeout' | 'audit list -n' | 'audit list --limit' | 'audit who --at' | 'broker init --admin' | 'broker init --public-url' | 'broker init --listen' | 'broker unit --user' | 'broker invite -d' | 'broker invite --for' | 'broker host add --key') takes='=' offer='' ;;
    'credential --format') takes='=' offer='env json pgpass ssh mycnf kubectl aws-process pem header token' ;;
    'explain -r' | 'explain --reason') takes='?' offer='' ;;
    'revoke --resource' | 'host init --resource') takes='=' offer='@resources' ;;
    'incident declare --service') takes='=' offer='@services' ;;
    'incident declare --priority') takes='=' offer='P1 P2 P3 P4 P5' ;;
    'reviews close --outcome') takes='=' offer='justified drill misuse' ;;
    'enroll --keystore') takes='=' offer='keychain ssh-agent file' ;;
    'enroll --cache') takes='=' offer='keychain file' ;;
    'enroll --ca') takes='=' offer='pinned system /f' ;;
    'setup --shell') takes='=' offer='bash zsh fish powershell' ;;
    'audit export -f' | 'audit export --file' | 'audit who --file' | 'audit verify --checkpoint' | 'host init --config' | 'host run --config' | 'host status --config') takes='=' offer='/f' ;;
    'audit verify --receipts' | 'broker init --dir' | 'broker check --dir' | 'broker serve --dir' | 'broker unit --dir' | 'broker invite --dir' | 'broker target --dir' | 'broker host add --dir' | 'broker host list --dir' | 'broker host remove --dir' | 'broker migrate --dir' | 'broker backup --dir' | 'broker restore --dir' | 'broker rotate tls --dir' | 'broker rotate tokens --dir') takes='=' offer='/d' ;;
    *' -o' | *' --output') takes='=' offer='table json ndjson' ;;
    *' --profile') takes='=' offer='@profiles' ;;
    *) takes='' offer='' ;;
  esac
}

# Each sets offer to what may stand there: an argument ("connect 1"), what is behind --, a child, an option.
__oncall_argument() {
  case $1 in
    'request '* | 'break-glass '* | 'run '* | 'connect 0') offer='@resources @roles @bundles' ;;
    'break-glass rotate 0' | 'broker target 0') offer='@resources' ;;
    'held '* | 'console 0') offer='@held @resources @roles' ;;
    'renew '* | 'credential 0') offer='@held' ;;
    'release '*) offer='@held @grants' ;;
    'explain 0') offer='@resources @roles @requests' ;;
    'wait 0' | 'cancel 0') offer='@requests' ;;
    'approve 0' | 'deny 0') offer='@approvals' ;;
    'revoke '*) offer='@grants' ;;
    'incident show 0' | 'incident resolve 0') offer='@incidents' ;;
    'reviews close 0') offer='@reviews' ;;
    'setup 0') offer='ssh psql mariadb redis kubectl aws prompt completion' ;;
    'completion 0') offer='bash zsh fish powershell' ;;
    'audit verify 0' | 'broker backup 0' | 'broker restore 0') offer='/f' ;;
    'drill 0') offer='@resources @roles' ;;
    'broker init 0' | 'broker check 0' | 'broker serve 0') offer='/d' ;;
    *) offer='' ;;
  esac
}

__oncall_rest() {
  case $1 in
    'run') offer='!' ;;
    *) offer='' ;;
  esac
}

__oncall_commands() {
  case $1 in
    '') offer='request break-glass run exec connect status ls held grants renew release credential console resources explain wait cancel approvals approve deny revoke incident reviews enroll setup completion whoami doctor devices agent probe audit drill rollout host broker' ;;
    'break-glass') offer='list rotate' ;;
    'incident') offer='declare list show resolve reopen' ;;
    'reviews') offer='list show close' ;;
    'devices') offer='list revoke add' ;;
    'agent') offer='status stop logs install' ;;
    'audit') offer='list export who verify' ;;
    'host') offer='init run status' ;;
    'broker') offer='init check serve unit invite target host migrate backup restore rotate' ;;
    'broker host') offer='add list remove' ;;
    'broker rotate') offer='tls tokens' ;;
    *) offer='' ;;
  esac
}

__oncall_options() {
  local common='-o --output --json --profile --no-agent -h --help'
  case $1 in
    '') offer='-V --version' ;;
    'request') offer='-i --incident -r --reason -d --for --wait --no-wait --timeout --key --dry-run' ;;
    'break-glass') offer='-r --reason -i --incident -d --for --wait --no-wait --timeout' ;;
    'run' | 'connect') offer='-i --incident -r --reason -d --for --timeout --no-request' ;;
    'status') offer='--refresh --watch --check --expires-in' ;;
    'grants') offer='--all' ;;
    'renew') offer='--no-extend' ;;
    'release') offer='--all' ;;
    'credential') offer='--format' ;;
    'console') offer='--print' ;;
    'explain') offer='-i --incident -d --for -r --reason' ;;
    'wait') offer='--timeout' ;;
    'approve') offer='-d --for' ;;
    'deny') offer='-r --reason' ;;
    'revoke') offer='--user --resource --incident -r --reason -y --yes' ;;
    'incident declare') offer='--service --priority --title' ;;
    'incident list') offer='--all' ;;
    'reviews list') offer='--all' ;;
    'reviews close') offer='--outcome --note' ;;
    'enroll') offer='--name --keystore --agent-key --cache --passphrase --ca' ;;
    'setup') offer='--write --remove --force --agent --shell' ;;
    'doctor') offer='--fix' ;;
    'devices list') offer='--user' ;;
    'agent') offer='--stay' ;;
    'agent install') offer='--remove' ;;
    'probe') offer='--timeout --prometheus' ;;
    'audit list') offer='-n --limit' ;;
    'audit export') offer='-f --file' ;;
    'audit who') offer='--at --file' ;;
    'audit verify') offer='--checkpoint --receipts' ;;
    'host init') offer='--config --resource' ;;
    'host run' | 'host status') offer='--config' ;;
    'broker init') offer='--admin --public-url --listen --dir' ;;
    'broker check' | 'broker serve' | 'broker host list' | 'broker host remove' | 'broker migrate' | 'broker backup' | 'broker restore' | 'broker rotate tls' | 'broker rotate tokens') offer='--dir' ;;
    'broker unit') offer='--user --dir' ;;
    'broker invite') offer='-d --for --dir' ;;
    'broker target') offer='--check --dir' ;;
    'broker host add') offer='--key --dir' ;;
    *) offer='' ;;
  esac
  offer="$offer $common"
}

# Sets folder to where oncall keeps its cache or config ($1) for the profile $2.
__oncall_folder() {
  local LC_ALL=C xdg=${XDG_CACHE_HOME-} own=.cache
  if [[ $1 == config ]]; then
    xdg=${XDG_CONFIG_HOME-}
    own=.config
  fi
  case ${ONCALL_HOME-} in
    /*) folder=$ONCALL_HOME/$1 ;;
    ?*) return 1 ;;
    *)
      case $xdg in
        /*) folder=$xdg/oncall ;;
        *)
          case ${HOME-} in
            /*) folder=$HOME/$own/oncall ;;
            *) return 1 ;;
          esac
          ;;
      esac
      ;;
  esac
  case $2 in
    '' | default) ;;
    *[!a-z0-9-]* | -*) return 1 ;;
    *) folder=$folder/profiles/$2 ;;
  esac
}

# Takes what has ended out of rows, whose third column is an end. Newer versions have a clock.
__oncall_lasting() {
  local now=${EPOCHSECONDS-} all row end
  all=("${rows[@]}")
  rows=()
  [[ -n $now ]] || printf -v now '%(%s)T' -1 2>/dev/null || now=0
  case $now in *[!0-9]* | '') now=0 ;; esac
  for row in "${all[@]}"; do
    end=${row##*$'\t'}
    case $end in *[!0-9]* | '' | 0* | ?????????????*) end=$((now + 1)) ;; esac
    ((end <= now)) || rows[${#rows[@]}]=$row
  done
}

# Adds the names of the list $1 that begin with cur. The rows are in the order of their bytes.
__oncall_names() {
  local LC_ALL=C IFS=$'\n' folder file low=0 high end mid row rows
  __oncall_folder cache "$profile" || return 0
  file=$folder/complete/$1
  [[ -f $file && -r $file && -O $file && ! -L $file ]] || return 0
  read -r -d "" -a rows 2>/dev/null <"$file"
  high=${#rows[@]}
  while ((low < high)); do
    mid=$(((low + high) / 2))
    if [[ ${rows[mid]} < $cur ]]; then low=$((mid + 1)); else high=$mid; fi
  done
  end=$low
  high=${#rows[@]}
  while ((end < high)); do
    mid=$(((end + high) / 2))
    if [[ ${rows[mid]} < $cur$'\177' ]]; then end=$((mid + 1)); else high=$mid; fi
  done
  ((end > low)) || return 0
  ((end - low == ${#rows[@]})) || rows=("${rows[@]:low:end-low}")
  case ${rows[0]} in *$'\t'*$'\t'*) __oncall_lasting ;; esac
  ((${#rows[@]} > 0)) || return 0
  rows=("${rows[@]%%$'\t'*}")
  case $IFS${rows[*]} in
    *[!A-Za-z0-9._@/+:$'\n'-]* | *$'\n'[!A-Za-z0-9]*)
      for row in "${rows[@]}"; do
        case $row in
          *[!A-Za-z0-9._@/+:-]* | [!A-Za-z0-9]*) ;;
          "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$row ;;
        esac
      done
      ;;
    *) COMPREPLY=(${COMPREPLY[@]+"${COMPREPLY[@]}"} "${rows[@]}") ;;
  esac
}

__oncall_profiles() {
  local LC_ALL=C folder path name
  __oncall_folder config '' || return 0
  for path in "$folder"/profiles/*/; do
    name=${path%/}
    name=${name##*/}
    case $name in
      *[!a-z0-9-]* | -*) ;;
      "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$name ;;
    esac
  done
}

# Adds what the words of an offer ($1) stand for and begins with cur.
__oncall_offer() {
  local IFS=' ' word
  for word in $1; do
    case $word in
      # Roles only where one is being typed: there are several for each resource.
      @roles) [[ $cur != *:* ]] || __oncall_names roles ;;
      @profiles) __oncall_profiles ;;
      @*) __oncall_names "${word#@}" ;;
      /*) paths=$word ;;
      "$cur"*) COMPREPLY[${#COMPREPLY[@]}]=$word ;;
    esac
  done
}

# What another program, whose command line begins at word $1, would offer.
__oncall_program() {
  local name
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  elif ((COMP_CWORD == $1)); then
    while IFS= read -r name; do COMPREPLY[${#COMPREPLY[@]}]=$name; done < <(compgen -c -- "$2")
  fi
}

__oncall() {
  local IFS=$' \t\n' profile=${ONCALL_PROFILE-} command='' offer='' takes='' option='' paths='' head='' rest
  local line=${COMP_LINE:0:COMP_POINT} word cur full piece i count=0 arguments=0 words starts
  words=()
  starts=()
  COMPREPLY=()
  # Newer versions split words at : and = too. What nothing separates is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    rest=${line#"${line%%[![:space:]]*}"}
    piece=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || piece=$rest
    if ((i > 1)) && [[ $rest == "$line" ]]; then
      words[count - 1]=${words[count - 1]}$piece
    else
      words[count]=$piece
      starts[count]=$i
      count=$((count + 1))
    fi
    line=${rest#"$piece"}
  done
  full=${words[count - 1]#[\"\']}
  for ((i = 1; i < count - 1; i++)); do
    word=${words[i]}
    if [[ -n $takes && ! ($takes == '?' && $word == -*) ]]; then
      [[ $option != --profile ]] || profile=$word
      takes=''
      continue
    fi
    takes=''
    case $word in
      --)
        __oncall_rest "$command"
        [[ $offer != '!' ]] || __oncall_program "${starts[i + 1]}" "$full"
        return 0
        ;;
      --profile=*) profile=${word#*=} ;;
      --*=*) ;;
      -*)
        option=$word
        __oncall_value "$command $word"
        ;;
      *)
        if ((arguments > 0)) || ! __oncall_child "$command/$word"; then arguments=$((arguments + 1)); fi
        ;;
    esac
  done
  cur=$full
  if [[ -n $takes && ! ($takes == '?' && $cur == -*) ]]; then
    __oncall_offer "$offer"
  elif [[ $cur == --*=* ]]; then
    head=${cur%%=*}=
    takes=''
    __oncall_value "$command ${cur%%=*}"
    cur=${cur#*=}
    [[ -z $takes ]] || __oncall_offer "$offer"
  elif [[ $cur == -* ]]; then
    __oncall_options "$command"
    __oncall_offer "$offer"
  else
    if ((arguments == 0)); then
      __oncall_commands "$command"
      __oncall_offer "$offer"
    fi
    __oncall_argument "$command $arguments"
    __oncall_offer "$offer"
  fi
  # Only what stands behind the last : or = is replaced.
  piece=${full%"$2"}
  if ((${#COMPREPLY[@]} == 0)); then :
  elif [[ $full != *"$2" ]]; then COMPREPLY=()
  else
    [[ -z $head ]] || COMPREPLY=("${COMPREPLY[@]/#/$head}")
    [[ -z $piece ]] || COMPREPLY=("${COMPREPLY[@]#"$piece"}")
  fi
  # Files only where a file is meant. Before bash 4 nothing can be said about it, and files it is.
  if [[ -z $paths && ${BASH_VERSINFO[0]} -ge 4 ]]; then
    compopt +o default
  elif [[ $paths == /d && ${BASH_VERSINFO[0]} -ge 4 ]]; then
    compopt -o dirnames
  fi 2>/dev/null
  return 0
}

complete -o bashdefault -o default -F __oncall oncall
