# PowerShell completion of oncall. Made from the commands themselves when the package is built: do not edit.
# Not run in CI.
#
# Live names come from files that oncall keeps. No process is started for them, and nothing of them is evaluated: whoever wrote
# those files, what is no plain name is left out, and so is a description that could steer the terminal.

Register-ArgumentCompleter -Native -CommandName @('oncall', 'oncall.cmd', 'oncall.ps1') -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $tab = [string][char]9
#{tables}

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
