"""The table of who may call what: every address of the server, by view and method; what is not here is refused.

Rules are found by the exact route first, then by a family of routes, then by the view. A test walks Django's whole URL
table and fails for a route without a rule, and for a rule without a route.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Model
from io_storages.azure_blob.models import AzureBlobExportStorage, AzureBlobImportStorage
from io_storages.gcs.models import GCSExportStorage, GCSImportStorage
from io_storages.localfiles.models import LocalFilesExportStorage, LocalFilesImportStorage
from io_storages.redis.models import RedisExportStorage, RedisImportStorage
from io_storages.s3.models import S3ExportStorage, S3ImportStorage

from ls_plugin.access import arrivals, checks, keeping, scope
from ls_plugin.access import response_filters as filters
from ls_plugin.access.call import AccessRule, AtWork, Checks, Show, Who
from ls_plugin.access.scope import EntityInPath, InPath, InQuery, Named, ThingInPath, ThingKind, Way

_ALL = ("GET", "POST", "PUT", "PATCH", "DELETE")
_READ = ("GET",)


def _rule(
    who: Who,
    methods: tuple[str, ...] = _ALL,
    project: Way | tuple[Way, ...] = (),
    show: Show | None = None,
    *,
    rows: bool = False,
    at_work: AtWork = AtWork.NEVER,
    check: Checks | None = None,
    manager_check: Checks | None = None,
) -> AccessRule:
    """A rule that asks the same of the caller for each of these methods."""
    return AccessRule(
        methods=dict.fromkeys(methods, who),
        project=project if isinstance(project, tuple) else (project,),
        rows=rows,
        show=show,
        check=check or {},
        manager_check=manager_check or {},
        at_work=at_work,
    )


_PK = InPath("pk")
_QUERY = InQuery()
_TASK_PK = ThingInPath(scope.TASK)

_ANYBODY = _rule(Who.ANYBODY, show=filters.plain)
_FILES = _rule(Who.ANYBODY, _READ, show=filters.plain)
_SELF = _rule(Who.PERSON, show=filters.plain)
_LEADER = _rule(Who.LEADER)
_MANAGER = _rule(Who.MANAGER)
_MANAGER_PK = _rule(Who.MANAGER, project=_PK)
_ROWS = _rule(Who.MANAGER, project=_PK, rows=True, manager_check={"POST": arrivals.rows_only})
_OWNER = _rule(Who.OWNER)
_NOBODY = _rule(Who.NOBODY)
# Endpoints that name a campaign: only a manager of it gets further, which the view checks by its name.
_CAMPAIGN = _rule(Who.LEADER)
_STORAGE = _rule(Who.MANAGER, project=_QUERY)
_MODEL_SERVER = _rule(Who.MANAGER, project=ThingInPath(scope.MODEL_SERVER))
# What sends answers out of the server: people who work in the campaign could read them there before giving their own.
_OUTLET: Checks = dict.fromkeys(("POST", "PUT", "PATCH"), checks.no_outlet)
# Label Studio's storages: the name in its classes, its folder, the name in addresses, import and export.
_STORAGES: tuple[tuple[str, str, str, type[Model], type[Model]], ...] = (
    ("S3", "s3", "s3", S3ImportStorage, S3ExportStorage),
    ("AzureBlob", "azure_blob", "azure", AzureBlobImportStorage, AzureBlobExportStorage),
    ("GCS", "gcs", "gcs", GCSImportStorage, GCSExportStorage),
    ("Redis", "redis", "redis", RedisImportStorage, RedisExportStorage),
    ("LocalFiles", "localfiles", "localfiles", LocalFilesImportStorage, LocalFilesExportStorage),
)


# Exact routes whose view serves several addresses.
ROUTES: Mapping[str, AccessRule] = {
    r"^favicon\.ico$": _FILES,
    "docs/": _LEADER,
    "docs/api/": _LEADER,
    r"^swagger\.json$": _LEADER,
    r"^swagger\.yaml$": _LEADER,
    "^swagger/$": _LEADER,
    "^data/local-files/": _MANAGER,  # one function for files of every project
    "^projects/<int:pk>/": _rule(Who.WORKER, _READ, _PK, filters.plain),
    "^projects/<int:pk>/data/": _rule(Who.WORKER, _READ, _PK, filters.plain),
    "^projects/<int:pk>/data/import": _rule(Who.MANAGER, _READ, _PK),
    "^projects/<int:pk>/data/export": _rule(Who.MANAGER, _READ, _PK),
    **{
        f"^api/storages/{path}/files": _rule(Who.MANAGER, project=(_QUERY, Named(ThingKind(model), "id")))
        for _, _, path, model, _ in _STORAGES
    },
}

# Families of routes that stand or fall together.
FAMILIES: Mapping[str, AccessRule] = {
    "admin/": _OWNER,
    "django-rq/": _OWNER,
}

VIEWS: dict[str, AccessRule] = {
    # Pages and their files
    "core.views.main": _ANYBODY,
    "core.views.static_file_with_host_resolver.<locals>.serve_file": _FILES,
    "core.utils.static_serve.serve": _FILES,
    "django.views.static.serve": _SELF,  # avatars
    "core.views.version_page": _rule(Who.PERSON, _READ, show=filters.plain),
    "core.views.health": _FILES,
    "core.views.metrics": _FILES,
    "core.views.TriggerAPIError": _NOBODY,
    "core.views.samples_time_series": _LEADER,
    "core.views.samples_paragraphs": _LEADER,
    "core.views.feature_flags": _LEADER,
    "core.views.heidi_tips": _NOBODY,  # asks a server outside
    "core.views.collect_metrics": _NOBODY,  # telemetry
    "drf_spectacular.views.SpectacularAPIView": _LEADER,
    "drf_spectacular.views.SpectacularSwaggerView": _LEADER,
    "drf_spectacular.views.SpectacularRedocView": _LEADER,
    "drf_spectacular.views.SpectacularJSONAPIView": _LEADER,
    "drf_spectacular.views.SpectacularYAMLAPIView": _LEADER,
    "rest_framework.routers.APIRootView": _LEADER,
    "django.contrib.auth.views.LoginView": _NOBODY,  # a second door beside /user/login/
    "django.contrib.auth.views.LogoutView": _SELF,
    # Accounts
    "users.views.user_login": _ANYBODY,
    "users.views.user_signup": _ANYBODY,
    "users.views.logout": _ANYBODY,
    "users.views.user_account": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "users.api.UserAPI": AccessRule(
        methods={"GET": Who.PERSON, "POST": Who.PERSON, "PATCH": Who.PERSON, "DELETE": Who.PERSON},
        check={
            "GET": checks.own_account,
            "POST": checks.own_avatar,
            "PATCH": checks.own_account,
            "DELETE": checks.own_avatar,
        },
        manager_check={"POST": checks.avatar, "PATCH": checks.own_account, "DELETE": checks.not_last_manager},
        show=filters.users,
    ),
    "users.api.UserResetTokenAPI": _SELF,
    "users.api.UserGetTokenAPI": _SELF,
    "users.api.UserWhoAmIAPI": _rule(Who.PERSON, _READ, show=filters.whoami),
    "users.api.UserHotkeysAPI": _SELF,
    "users.product_tours.api.ProductTourAPI": _SELF,
    "jwt_auth.views.JWTSettingsAPI": AccessRule(methods={"GET": Who.PERSON, "POST": Who.OWNER}, show=filters.plain),
    "jwt_auth.views.LSAPITokenView": _SELF,
    "jwt_auth.views.DecoratedTokenRefreshView": _ANYBODY,
    "jwt_auth.views.LSTokenBlacklistView": _SELF,
    "jwt_auth.views.LSAPITokenRotateView": _SELF,
    "session_policy.api.SessionTimeoutPolicyView": _MANAGER,
    # Organisation
    "organizations.views.simple_view": _MANAGER,
    "organizations.views.organization_people_list": _MANAGER,
    "organizations.api.OrganizationListAPI": _MANAGER,
    "organizations.api.OrganizationAPI": _MANAGER,
    "organizations.api.OrganizationMemberListAPI": _MANAGER,
    "organizations.api.OrganizationMemberDetailAPI": _rule(
        Who.MANAGER, manager_check={"DELETE": checks.not_last_manager_member}
    ),
    "organizations.api.OrganizationInviteAPI": _MANAGER,
    "organizations.api.OrganizationResetTokenAPI": _MANAGER,
    # Projects
    "projects.views.project_list": _rule(Who.PERSON, _READ, show=filters.plain),
    "projects.views.project_settings": _MANAGER_PK,
    "data_manager.views.task_page": _rule(Who.WORKER, _READ, _PK, filters.plain),
    "projects.api.ProjectListAPI": AccessRule(
        methods={"GET": Who.PERSON, "POST": Who.LEADER},
        show=filters.project_list,
        manager_check={"POST": keeping.marker},
    ),
    "projects.api.ProjectCountsListAPI": _rule(Who.PERSON, _READ, show=filters.count_list),
    "projects.api.ProjectAPI": AccessRule(
        methods={"GET": Who.WORKER, "PUT": Who.MANAGER, "PATCH": Who.MANAGER, "DELETE": Who.MANAGER},
        project=(_PK,),
        show=filters.project,
        manager_check={
            "PUT": checks.project_change,
            "PATCH": checks.project_change,
            "DELETE": keeping.answered_project,
        },
    ),
    "projects.api.ProjectNextTaskAPI": _rule(Who.WORKER, _READ, _PK, filters.task, at_work=AtWork.QUEUE),
    "projects.api.LabelStreamHistoryAPI": _rule(Who.WORKER, _READ, _PK, filters.plain),
    "projects.api.LabelConfigValidateAPI": _LEADER,
    "projects.api.ProjectLabelConfigValidateAPI": _MANAGER_PK,
    "projects.api.ProjectSummaryAPI": _MANAGER_PK,
    "projects.api.ProjectSummaryResetAPI": _MANAGER_PK,
    "projects.api.ProjectImportAPI": _MANAGER_PK,
    "projects.api.ProjectReimportAPI": _MANAGER_PK,
    "projects.api.ProjectTaskListAPI": _rule(
        Who.MANAGER,
        project=_PK,
        rows=True,
        manager_check={"POST": arrivals.rows_only, "DELETE": keeping.answered_tasks},
    ),
    "projects.api.ProjectSampleTask": _MANAGER_PK,
    "projects.api.ProjectModelVersions": _MANAGER_PK,
    "projects.api.ProjectAnnotatorsAPI": _MANAGER_PK,
    "projects.api.TemplateListAPI": _LEADER,
    # Data in
    "data_import.api.FileUploadAPI": _rule(Who.MANAGER, project=ThingInPath(scope.UPLOAD)),
    "data_import.api.FileUploadListAPI": _MANAGER_PK,
    "data_import.api.TasksBulkCreateAPI": _ROWS,
    "data_import.api.ImportAPI": _ROWS,
    "data_import.api.ImportPredictionsAPI": _rule(Who.MANAGER, project=_PK, rows=True),
    "data_import.api.ReImportAPI": _rule(Who.MANAGER, project=_PK, manager_check={"POST": arrivals.nothing}),
    "data_import.api.UploadedFileResponse": _rule(
        Who.WORKER, _READ, ThingInPath(scope.FILE, "filename"), filters.plain, check={"GET": checks.own_upload}
    ),
    "data_import.api.DownloadStorageData": _MANAGER,
    # Data manager
    "data_manager.api.ViewAPI": AccessRule(
        methods={
            "GET": Who.WORKER,
            "POST": Who.MANAGER,
            "PUT": Who.MANAGER,
            "PATCH": Who.WORKER,
            "DELETE": Who.MANAGER,
        },
        project=(_QUERY, ThingInPath(scope.VIEW)),
        show=filters.plain,  # Label Studio's own tabs never come here: hooks answer for people
    ),
    "data_manager.api.ProjectColumnsAPI": _rule(Who.WORKER, _READ, _QUERY, filters.columns),
    "data_manager.api.ProjectStateAPI": _rule(Who.WORKER, _READ, _QUERY, filters.project),
    "data_manager.api.ProjectActionsAPI": AccessRule(
        methods={"GET": Who.WORKER, "POST": Who.WORKER},
        project=(_QUERY,),
        check={"POST": checks.next_action},
        manager_check={"POST": checks.manager_action},
        show=filters.action,
        at_work=AtWork.NEXT_TASK,
    ),
    "data_manager.api.ProjectActionsFormAPI": _rule(Who.MANAGER, _READ, _QUERY),
    # Data out
    "data_export.api.ExportAPI": _MANAGER_PK,
    "data_export.api.ExportFormatsListAPI": _MANAGER_PK,
    "data_export.api.ProjectExportFiles": _MANAGER_PK,
    "data_export.api.ExportListAPI": _MANAGER_PK,
    "data_export.api.ExportDetailAPI": _MANAGER_PK,
    "data_export.api.ExportDownloadAPI": _MANAGER_PK,
    "data_export.api.ExportConvertAPI": _MANAGER_PK,
    "data_export.api.ProjectExportFilesAuthCheck": _rule(
        Who.MANAGER, _READ, manager_check={"GET": checks.behind_a_proxy}
    ),
    # Tasks, answers, drafts, predictions
    "tasks.api.TaskListAPI": AccessRule(
        methods={"GET": Who.WORKER, "POST": Who.MANAGER},
        project=(_QUERY,),
        show=filters.task_list,
        manager_check={"POST": arrivals.rows_only},
    ),
    "tasks.api.TaskAPI": AccessRule(
        methods={"GET": Who.WORKER, "PUT": Who.MANAGER, "PATCH": Who.MANAGER, "DELETE": Who.MANAGER},
        project=(_TASK_PK,),
        check={"GET": checks.own_task},
        manager_check={"DELETE": keeping.answered_task},
        show=filters.task,
        at_work=AtWork.IN_HAND,
    ),
    "tasks.api.AnnotationsListAPI": AccessRule(
        methods={"GET": Who.WORKER, "POST": Who.WORKER},
        project=(_TASK_PK,),
        check={"GET": checks.own_task, "POST": checks.submission},
        manager_check={"POST": checks.submission},
        show=filters.annotation_list,
        at_work=AtWork.IN_HAND,
    ),
    "tasks.api.AnnotationDraftListAPI": AccessRule(
        methods={"GET": Who.WORKER, "POST": Who.WORKER},
        project=(_TASK_PK,),
        check={"GET": checks.own_task, "POST": checks.new_draft},
        manager_check={"POST": checks.new_draft},
        show=filters.draft_list,
        at_work=AtWork.IN_HAND,
    ),
    "tasks.api.TaskAgreementAPI": _rule(Who.MANAGER, _READ, _TASK_PK),
    "tasks.api.AnnotationAPI": AccessRule(
        methods={"GET": Who.WORKER, "PUT": Who.WORKER, "PATCH": Who.WORKER, "DELETE": Who.WORKER},
        project=(ThingInPath(scope.ANNOTATION),),
        check={
            "GET": checks.own_annotation,
            "PUT": checks.change,
            "PATCH": checks.change,
            "DELETE": checks.keep_answer,
        },
        manager_check={"PUT": checks.change, "PATCH": checks.change, "DELETE": checks.keep_answer},
        show=filters.annotation_list,
    ),
    "tasks.api.AnnotationConvertAPI": AccessRule(
        methods={"POST": Who.WORKER},
        project=(ThingInPath(scope.ANNOTATION),),
        check={"POST": checks.nothing_taken_back},
        manager_check={"POST": checks.nothing_taken_back},
        show=filters.draft_list,
    ),
    "tasks.api.AnnotationDraftAPI": AccessRule(
        methods=dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), Who.WORKER),
        project=(ThingInPath(scope.DRAFT),),
        check=dict.fromkeys(("GET", "PUT", "PATCH", "DELETE"), checks.own_draft),
        manager_check=dict.fromkeys(("PUT", "PATCH", "DELETE"), checks.own_draft),
        show=filters.draft_list,
    ),
    "tasks.api.PredictionAPI": _rule(
        Who.MANAGER, project=(_QUERY, ThingInPath(scope.PREDICTION), Named(scope.TASK, "task"))
    ),
    # Storages, models, webhooks, labels, states
    "io_storages.all_api.AllImportStorageListAPI": _STORAGE,
    "io_storages.all_api.AllExportStorageListAPI": _STORAGE,
    "io_storages.all_api.AllImportStorageTypesAPI": _LEADER,
    "io_storages.all_api.AllExportStorageTypesAPI": _LEADER,
    "io_storages.proxy_api.TaskResolveStorageUri": _rule(
        Who.WORKER, _READ, ThingInPath(scope.TASK, "task_id"), filters.plain, check={"GET": checks.own_file}
    ),
    "io_storages.proxy_api.ProjectResolveStorageUri": _rule(Who.MANAGER, _READ, InPath("project_id")),
    "ml.api.MLBackendListAPI": AccessRule(
        methods={"GET": Who.WORKER, "POST": Who.MANAGER},  # the labelling screen asks; people get an empty list
        project=(_QUERY,),
        show=filters.nothing,
    ),
    "ml.api.MLBackendDetailAPI": _MODEL_SERVER,
    "ml.api.MLBackendTrainAPI": _rule(Who.MANAGER, project=ThingInPath(scope.MODEL_SERVER), manager_check=_OUTLET),
    "ml.api.MLBackendPredictTestAPI": _MODEL_SERVER,
    "ml.api.MLBackendInteractiveAnnotating": _MODEL_SERVER,
    "ml.api.MLBackendVersionsAPI": _MODEL_SERVER,
    "webhooks.api.WebhookListAPI": _rule(Who.MANAGER, project=_QUERY, manager_check=_OUTLET),
    "webhooks.api.WebhookAPI": _rule(Who.MANAGER, project=ThingInPath(scope.WEBHOOK), manager_check=_OUTLET),
    "webhooks.api.WebhookInfoAPI": _LEADER,
    "labels_manager.api.LabelAPI": _MANAGER,
    "labels_manager.api.LabelLinkAPI": AccessRule(
        methods={"GET": Who.WORKER} | dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Who.MANAGER),
        project=(_QUERY, ThingInPath(scope.LABEL_LINK)),
        show=filters.nothing,
    ),
    "labels_manager.api.LabelBulkUpdateAPI": _rule(
        Who.MANAGER, project=_QUERY, manager_check={"POST": checks.no_bulk_labels}
    ),
    "fsm.api.FSMEntityHistoryAPI": _rule(Who.MANAGER, project=EntityInPath()),
    "fsm.api.FSMEntityTransitionAPI": _rule(Who.MANAGER, project=EntityInPath()),
    # Quorum's own
    "ls_plugin.pages.api.VersionView": _rule(Who.PERSON, _READ, show=filters.plain),
    "ls_plugin.pages.api.PutOffView": _rule(Who.WORKER, _READ, project=_QUERY, show=filters.plain),
    "ls_plugin.pages.api.CampaignView": _CAMPAIGN,
    "ls_plugin.pages.api.LockView": _CAMPAIGN,
    "ls_plugin.pages.api.TeamView": _CAMPAIGN,
    "ls_plugin.pages.api.PlanView": _CAMPAIGN,
    "ls_plugin.pages.api.WithdrawView": _CAMPAIGN,
    "ls_plugin.pages.api.StatusView": _CAMPAIGN,
    "ls_plugin.pages.api.AuditView": _CAMPAIGN,
    "ls_plugin.pages.api.ReopenView": _CAMPAIGN,
    "ls_plugin.pages.api.SkipsView": _CAMPAIGN,
    "ls_plugin.pages.api.FlagsView": _CAMPAIGN,
    "ls_plugin.pages.api.ChecksView": _rule(Who.WORKER, ("POST",), (_QUERY, Named(scope.TASK, "task")), filters.plain),
    # Of a task that the caller has not in hand, or that is a pass, the view says that there is none.
    "ls_plugin.pages.precedents.PrecedentsView": _rule(
        Who.WORKER, _READ, (_QUERY, Named(scope.TASK, "task")), filters.plain
    ),
    "ls_plugin.pages.precedents.RowPrecedentsView": _rule(Who.LEADER, _READ),
    "ls_plugin.pages.api.CheckupView": _CAMPAIGN,
    "ls_plugin.pages.api.RepairView": _CAMPAIGN,
    # Whoever works in a campaign has threads of their own; the view shows a manager of it all, and others nothing.
    "ls_plugin.pages.thread_api.ThreadsView": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    # Whoever works in a campaign reads its guidelines; the view lets its managers alone publish.
    "ls_plugin.pages.guideline_api.GuidelinesView": AccessRule(
        methods={"GET": Who.PERSON, "POST": Who.LEADER}, show=filters.plain
    ),
    "ls_plugin.pages.guideline_api.AcknowledgeView": _rule(Who.PERSON, ("POST",), show=filters.plain),
    # What the screen shows beside a row: the view refuses a row that was never handed to the caller.
    "ls_plugin.pages.companion.CompanionView": _rule(
        Who.WORKER, _READ, (_QUERY, Named(scope.TASK, "task")), filters.plain
    ),
    # Everybody's own; whoever has none is told so.
    "ls_plugin.pages.notice_api.NoticesView": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.notice_api.OutboxView": _rule(Who.LEADER, ("GET", "POST")),
    "ls_plugin.pages.notice_pages.notices": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.task_stream.TasksView": _rule(Who.MANAGER, _READ, project=_QUERY),
    "ls_plugin.pages.manager.campaigns": _rule(Who.PERSON, _READ, show=filters.plain),
    # The pages of one campaign check by themselves that the caller manages it.
    "ls_plugin.pages.manager.campaign": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.people.signed_in": _rule(Who.PERSON, _READ, show=filters.plain),
    "ls_plugin.pages.thread_pages.campaign_threads": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.guideline_pages.read": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.guideline_pages.publish": AccessRule(
        methods={"GET": Who.PERSON, "POST": Who.LEADER}, show=filters.plain
    ),
    "ls_plugin.pages.flags.campaign_flags": _rule(Who.PERSON, _READ, show=filters.plain),
    "ls_plugin.pages.password.own_password": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.password.PasswordView": _CAMPAIGN,
    "ls_plugin.pages.people.mine": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    # Of a campaign in which the caller has no part it says that there is none.
    "ls_plugin.pages.people.answers": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.qualifying.qualify": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.practice.practise": _rule(Who.PERSON, ("GET", "POST"), show=filters.plain),
    "ls_plugin.pages.assets.style": _ANYBODY,
    "ls_plugin.pages.assets.screen": _ANYBODY,
    "ls_plugin.pages.assets.screen_file": _ANYBODY,
    "ls_plugin.pages.assets.no_tips": _ANYBODY,
    "ls_plugin.pages.assets.no_telemetry": _ANYBODY,
}

for _cloud, _folder, _, _import, _export in _STORAGES:
    for _way, _model in (("Import", _import), ("Export", _export)):
        # A storage belongs to its own project, whatever project the query names.
        _kind = ThingKind(_model)
        _api = f"io_storages.{_folder}.api.{_cloud}{_way}Storage"
        _out = _OUTLET if _way == "Export" else {}
        _sync = _OUTLET if _way == "Export" else {"POST": arrivals.nothing}
        VIEWS |= {
            f"{_api}ListAPI": _rule(Who.MANAGER, project=_QUERY, manager_check=_out),
            f"{_api}FormLayoutAPI": _LEADER,
            f"{_api}ValidateAPI": _rule(Who.MANAGER, project=(_QUERY, Named(_kind, "id"))),
            **{
                f"{_api}{what}API": _rule(Who.MANAGER, project=(_QUERY, ThingInPath(_kind)), manager_check=check)
                for what, check in (("Detail", _out), ("Sync", _sync))
            },
        }


def find_rule(route: str, view: str) -> AccessRule | None:
    """The rule for a route and its view, None if nobody stated one."""
    if route in ROUTES:
        return ROUTES[route]
    for family, rule in FAMILIES.items():
        if route.startswith(family):
            return rule
    return VIEWS.get(view)
