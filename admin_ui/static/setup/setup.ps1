# Windows PowerShell 5.1 and PowerShell 7. The state of every CLI is in ~\.codex-pool-setup\<cli>: manifest.json names the
# files and variables, before\N is a file as it was, after\N as the set-up left it.
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 2

function Write-Plain([string]$Path, [string]$Text) {
    [IO.File]::WriteAllText($Path, $Text, (New-Object Text.UTF8Encoding $false))
}

function Test-Same([string]$A, [string]$B) {
    if (-not ((Test-Path -LiteralPath $A) -and (Test-Path -LiteralPath $B))) { return $false }
    [Convert]::ToBase64String([IO.File]::ReadAllBytes($A)) -ceq [Convert]::ToBase64String([IO.File]::ReadAllBytes($B))
}

$PoolState = Join-Path $HOME '.codex-pool-setup'
$PoolHere = if ($PoolCli) { Join-Path $PoolState $PoolCli }

function Undo-CodexPool([string]$Here) {
    $manifest = Join-Path $Here 'manifest.json'
    if (-not (Test-Path -LiteralPath $manifest)) { return }
    $done = Get-Content -Raw -LiteralPath $manifest | ConvertFrom-Json
    foreach ($file in @($done.files)) {
        $before = Join-Path $Here ("before-" + $file.number)
        $after = Join-Path $Here ("after-" + $file.number)
        if ((Test-Path -LiteralPath $file.path) -and -not (Test-Same $file.path $after)) {
            $aside = $file.path + '.changed-since-codex-pool'
            Copy-Item -LiteralPath $file.path -Destination $aside -Force
            Write-Host "  $($file.path) was changed since; what it was is in $aside"
        }
        if (Test-Path -LiteralPath $before) { [IO.File]::WriteAllBytes($file.path, [IO.File]::ReadAllBytes($before)) }
        elseif (Test-Path -LiteralPath $file.path) { Remove-Item -LiteralPath $file.path }
        Write-Host "  restored $($file.path)"
    }
    foreach ($variable in @($done.variables)) {
        [Environment]::SetEnvironmentVariable($variable.name, $variable.value, 'User')
        Write-Host "  restored the variable $($variable.name)"
    }
    foreach ($folder in @($done.folders)) {
        if ((Test-Path -LiteralPath $folder) -and -not (Get-ChildItem -Force -LiteralPath $folder)) { Remove-Item -LiteralPath $folder }
    }
    Remove-Item -Recurse -Force -LiteralPath $Here
    if (-not (Get-ChildItem -Directory -Force -LiteralPath $PoolState)) { Remove-Item -Recurse -Force -LiteralPath $PoolState }
}

# Everything else in the file stays; what it had under these names is put aside as comments.
function Edit-Toml([string]$Text, $Settings) {
    $top = ''; $tables = ''; $last = ''; $wanted = @()
    foreach ($s in $Settings) {
        $dot = $s.Path.LastIndexOf('.')
        if ($dot -lt 0) { $top += "$($s.Path) = $($s.Value)`n"; $wanted += $s.Path; continue }
        $table = $s.Path.Substring(0, $dot)
        if ($table -cne $last) { $tables += "`n[$table]`n"; $last = $table; $wanted += $table }
        $tables += "$($s.Path.Substring($dot + 1)) = $($s.Value)`n"
    }
    $inside = ''; $depth = 0; $table = ''; $drop = $false; $tableIsOurs = $false; $out = @()
    foreach ($line in ($Text -split "`r?`n")) {
        $value = $line
        if ($inside -eq '' -and $depth -eq 0) {
            $drop = $tableIsOurs
            if ($line -match '^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$') {
                $table = ($Matches[1] -replace '["''\s]', '')
                $tableIsOurs = $drop = [bool]($wanted | Where-Object { $table -ceq $_ -or $table.StartsWith("$_.") })
                $value = ''
            } elseif ($line -match '^\s*([A-Za-z0-9_."''\-\s]+?)\s*=(.*)$') {
                $name = ($Matches[1] -replace '["''\s]', ''); $value = $Matches[2]
                if ($table) { $name = "$table.$name" }
                if (-not $tableIsOurs) {
                    $drop = [bool]($wanted | Where-Object { $name -ceq $_ -or $name.StartsWith("$_.") })
                    if ($wanted | Where-Object { $_.StartsWith("$name.") }) { throw "the file defines $name in one piece, to which nothing can be added" }
                }
            } elseif ($line -match '^\s*(#.*)?$') { $value = '' }
            else { throw 'the file is no TOML that this script understands' }
        }
        for ($i = 0; $i -lt $value.Length; $i++) {
            $c = $value.Substring($i, 1)
            $three = $value.Substring($i, [Math]::Min(3, $value.Length - $i))
            if ($inside.Length -eq 3) {
                if ($c -eq '\' -and $inside -eq '"""') { $i++ }
                elseif ($three -eq $inside) { $i += 2; $inside = '' }
            } elseif ($inside) {
                if ($c -eq '\' -and $inside -eq '"') { $i++ } elseif ($c -eq $inside) { $inside = '' }
            } elseif ($c -eq '#') { break }
            elseif ($three -eq '"""' -or $three -eq "'''") { $inside = $three; $i += 2 }
            elseif ($c -eq '"' -or $c -eq "'") { $inside = $c }
            elseif ($c -eq '[' -or $c -eq '{') { $depth++ }
            elseif ($c -eq ']' -or $c -eq '}') { $depth-- }
        }
        if ($inside.Length -eq 1 -or $depth -lt 0) { throw 'the file is no TOML that this script understands' }
        if ($drop -and $line) { $out += "#codex-pool-was# $line" } else { $out += $line }
    }
    if ($inside -or $depth) { throw 'the file is no TOML that this script understands' }
    $rest = ($out -join "`n").TrimEnd("`n")
    if ($rest) { $rest += "`n" }
    "# >>> codex-pool`n$top# <<< codex-pool`n$rest# >>> codex-pool`n$tables# <<< codex-pool`n"
}

function Set-Json($Data, [string]$Path, $Value) {
    $keys = $Path.Split('.')
    $node = $Data
    for ($i = 0; $i -lt $keys.Length; $i++) {
        $known = $node.PSObject.Properties[$keys[$i]]
        if ($i -eq $keys.Length - 1) { $node | Add-Member -Force -NotePropertyName $keys[$i] -NotePropertyValue $Value; return }
        if ($null -eq $known -or $null -eq $known.Value) {
            $node | Add-Member -Force -NotePropertyName $keys[$i] -NotePropertyValue (New-Object PSObject)
        } elseif ($known.Value -isnot [Management.Automation.PSCustomObject]) { throw "$($keys[$i]) is no object" }
        $node = $node.PSObject.Properties[$keys[$i]].Value
    }
}

function Install-CodexPool {
    $answer = (Invoke-WebRequest -UseBasicParsing -Uri $PoolConfig -TimeoutSec 60).Content
    if ($answer -is [byte[]]) { $answer = [Text.Encoding]::UTF8.GetString($answer) }
    $variables = [ordered]@{}
    foreach ($name in $PoolVariables.Keys) { $variables[$name] = $PoolVariables[$name] }
    if (-not ($PoolFiles | Where-Object { $_.Kind -eq 'document' })) {
        foreach ($secret in ($answer | ConvertFrom-Json).PSObject.Properties) { $variables[$secret.Name] = [string]$secret.Value }
    }
    Undo-CodexPool $PoolHere
    New-Item -ItemType Directory -Force -Path $PoolHere | Out-Null
    Write-Host "Setting up $PoolTitle for the pool at ${PoolUrl}:"
    $done = @{ files = @(); variables = @(); folders = @() }
    $manifest = Join-Path $PoolHere 'manifest.json'
    try {
        $number = 0
        foreach ($file in $PoolFiles) {
            $folder = if ($file.FolderVariable) { [Environment]::GetEnvironmentVariable($file.FolderVariable) }
            if (-not $folder) { $folder = if ($file.Folder -eq '.') { $HOME } else { Join-Path $HOME $file.Folder } }
            $path = Join-Path $folder $file.Name
            if ($file.Keep -and (Test-Path -LiteralPath $path)) { Write-Host "  kept     $path (your own sign-in will do)"; continue }
            $number++
            $old = ''
            if (Test-Path -LiteralPath $path) {
                $old = [IO.File]::ReadAllText($path)
                Copy-Item -LiteralPath $path -Destination (Join-Path $PoolHere "before-$number")
            } elseif (-not (Test-Path -LiteralPath $folder)) {
                New-Item -ItemType Directory -Path $folder | Out-Null
                $done.folders += $folder
            }
            $new = $answer
            if ($file.Kind -eq 'toml') { $new = Edit-Toml $old $file.Settings }
            if ($file.Kind -eq 'json') {
                $data = if ($old.Trim()) { $old | ConvertFrom-Json } else { New-Object PSObject }
                if ($data -isnot [Management.Automation.PSCustomObject]) { throw "$path is no JSON object" }
                foreach ($s in $file.Settings) {
                    $value = if ($s.Variable) { $variables[$s.Variable] } else { "[$($s.Value)]" | ConvertFrom-Json | Select-Object -First 1 }
                    Set-Json $data $s.Path $value
                }
                $new = (ConvertTo-Json -Depth 100 -InputObject $data) + "`n"
            }
            $done.files += @{ number = $number; path = $path }
            Write-Plain $manifest (ConvertTo-Json -Depth 5 -InputObject $done)
            Write-Plain $path $new
            Copy-Item -LiteralPath $path -Destination (Join-Path $PoolHere "after-$number")
            Write-Host "  wrote    $path"
        }
        foreach ($name in @($PoolUnset) + @($variables.Keys)) {
            $new = if ($variables.Contains($name)) { $variables[$name] } else { $null }
            $old = [Environment]::GetEnvironmentVariable($name, 'User')
            if ($old -ceq $new) { continue }
            $done.variables += @{ name = $name; value = $old }
            Write-Plain $manifest (ConvertTo-Json -Depth 5 -InputObject $done)
            [Environment]::SetEnvironmentVariable($name, $new, 'User')
            [Environment]::SetEnvironmentVariable($name, $new, 'Process')
            Write-Host "  set the variable $name"
        }
        Write-Plain $manifest (ConvertTo-Json -Depth 5 -InputObject $done)
    } catch {
        Undo-CodexPool $PoolHere
        throw "The set-up has failed; everything is as it was before. $_"
    }
    foreach ($note in $PoolNotes) { Write-Host "Note: $note" }
    Write-Host "Open a new terminal. Try it:  $PoolTry"
    Write-Host "Undo it:  irm '$PoolUrl/setup/undo?shell=powershell' | iex"
}

if (-not $PoolUndo) { Install-CodexPool }
elseif (Test-Path -LiteralPath $PoolState) {
    foreach ($one in @(Get-ChildItem -Directory -Force -LiteralPath $PoolState)) { Undo-CodexPool $one.FullName }
    Write-Host 'Done: everything is as it was before.'
} else { Write-Host 'Nothing is set up here.' }
