# A Nomad job, for those who have outgrown one machine: Nomad places the group, circus is the init of its task.
job "app" {
  group "app" {
    network {
      port "http" {}
    }
    task "circus" {
      # The program runs in a root of its own: /tmp there, with the control socket, is nobody else's.
      driver       = "exec"
      kill_timeout = "60s"
      config {
        command = "/usr/local/bin/circus"
        args    = ["local/circus.ini"]
      }
      template {
        destination = "local/circus.ini"
        data        = <<INI
[socket:http]
host = 0.0.0.0
port = {{ env "NOMAD_PORT_http" }}

[watcher:app]
cmd = /usr/local/bin/app $(circus.sockets.http)
use_sockets = True
numprocesses = 2
INI
      }
      service {
        port = "http"
        check {
          type     = "script"
          command  = "/usr/local/bin/circus"
          args     = ["ctl", "status", "--check"]
          interval = "10s"
          timeout  = "2s"
        }
      }
    }
  }
}
